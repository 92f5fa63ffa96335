"""What the columns of Parquet files say, whatever their types, as `datasets` and others write."""
