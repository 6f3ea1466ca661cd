"""What a machine needs and how it gets there: jars, Spark's configuration, Java, the parts of profile stack, doctor."""
