# The libraries of Home Assistant write points in its form to two servers: influx-writers.py sluice-port token influxdb-port
import json
import sys

from influxdb import InfluxDBClient
import influxdb_client
from influxdb_client.client.write_api import SYNCHRONOUS

sluice, token, other = sys.argv[1:4]
points = json.load(sys.stdin)

for port, password in ((sluice, token), (other, "none")):
    client = InfluxDBClient(host="127.0.0.1", port=int(port), username="ha", password=password, database="home")
    assert client.ping()
    client.create_database("home")
    assert client.get_list_database()
    client.write_points([])
    client.write_points(points, time_precision="ms", batch_size=700)
    client.close()

client = influxdb_client.InfluxDBClient(url=f"http://127.0.0.1:{sluice}", token=token, org="o", enable_gzip=True)
assert client.health().status == "pass"
assert client.buckets_api().find_bucket_by_name("home") is not None
writer = client.write_api(write_options=SYNCHRONOUS)
writer.write(bucket="home", record=points, write_precision="ms")
client.close()
