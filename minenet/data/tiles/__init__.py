"""Ground cut into clusters, boxes and tiles that imagery is fetched for."""
