import { randomBytes } from 'node:crypto'
import { Kafka as KafkaJs, logLevel } from 'kafkajs'
import type { FleetDevice } from '../../services/simulator/fleet.ts'
import { Releasers } from '../../shared/process/releasers.ts'
import type { Servers } from '../servers/all.ts'
import type { Influxdb } from '../servers/influxdb.ts'
import { startMosquitto, type MosquittoLogin } from '../servers/mosquitto.ts'
import { startTelegraf } from '../servers/telegraf.ts'
import type { Target } from './phase.ts'
import { serverParts } from './sluice-target.ts'

const TOPIC = 'chain.raw'
const BUCKET = 'chain'
/** Kafka 4 no longer answers the requests that Telegraf's default version makes. */
const KAFKA_PROTOCOL = '4.0.0'
/** The measurement of Telegraf's input; the tag `device` comes from the topic, as in Sluice. */
const MEASUREMENT = 'telemetry'

/** Small batches at once instead of every 10 s, room for more than a second, no compression on a loopback. */
const AGENT = `[agent]
interval = "1s"
flush_interval = "100ms"
flush_jitter = "0s"
metric_batch_size = 5000
metric_buffer_limit = 200000
omit_hostname = true
`

/**
 * What many run today: Mosquitto -> Telegraf -> Kafka -> Telegraf -> InfluxDB, on the same Kafka and InfluxDB. A PUBACK of
 * it says that Mosquitto has the message in memory. Mosquitto checks logins and topics, as Sluice does.
 */
export async function chainTarget(options: {
  readonly servers: Servers
  readonly folder: string
  readonly devices: number
  readonly partitions: number
}): Promise<Target> {
  const { servers, folder, partitions } = options
  const devices = Array.from({ length: options.devices }, (_, index): FleetDevice => {
    const device = `c-${String(index + 1).padStart(5, '0')}`
    return { tenant: 'bench', device, username: `bench/${device}`, secret: randomBytes(16).toString('base64url') }
  })
  const reader = { username: 'telegraf', secret: randomBytes(16).toString('base64url') }
  await makeTopic(servers.kafka.brokers, partitions)
  await makeBucket(servers.influxdb)
  const releasers = new Releasers()
  try {
    const mosquitto = releasers.own(
      'mosquitto',
      await startMosquitto(folder, {
        logins: [...devices, reader],
        acl: ['user telegraf', 'topic read t/#', '', 'pattern write t/%u/#'],
        settings: ['set_tcp_nodelay true', 'max_inflight_messages 1000', 'max_queued_messages 0'],
      }),
      (it) => it.stop(),
    )
    // From the end to the beginning: nothing is sent before somebody takes it.
    const fromKafka = releasers.own(
      'telegraf from Kafka',
      await startTelegraf(folder, {
        name: 'telegraf-from-kafka',
        config: AGENT + kafkaToInflux(servers),
        readyLine: 'Config: Interval',
      }),
      (it) => it.stop('SIGKILL'),
    )
    const fromMqtt = releasers.own(
      'telegraf from MQTT',
      await startTelegraf(folder, {
        name: 'telegraf-from-mqtt',
        config: AGENT + mqttToKafka(mosquitto.port, reader, servers.kafka.brokers),
        readyLine: 'Connected [tcp',
      }),
      (it) => it.stop('SIGKILL'),
    )
    const pids = (it: { readonly pid: number | undefined }) => [it.pid ?? 0]
    return {
      name: 'chain',
      mqttPort: mosquitto.port,
      devices,
      parts: {
        mosquitto: pids(mosquitto.process),
        'telegraf mqtt': pids(fromMqtt),
        'telegraf kafka': pids(fromKafka),
        ...serverParts(servers),
      },
      readTimes: (device, fromUs, toUs) => readTimes(servers.influxdb, device, fromUs, toUs),
      close: () => releasers.close(),
    }
  } catch (error) {
    await releasers.close()
    throw error
  }
}

function mqttToKafka(port: number, { username, secret }: MosquittoLogin, brokers: readonly string[]): string {
  return `[[inputs.mqtt_consumer]]
servers = ["tcp://127.0.0.1:${port}"]
topics = ["t/+/+/telemetry"]
topic_tag = ""
qos = 1
username = "${username}"
password = "${secret}"
max_undelivered_messages = 20000
data_format = "json"
json_time_key = "ts"
json_time_format = "unix_us"
[[inputs.mqtt_consumer.topic_parsing]]
topic = "t/+/+/telemetry"
measurement = "_/_/_/measurement"
tags = "_/tenant/device/_"

[[outputs.kafka]]
brokers = [${brokers.map((broker) => `"${broker}"`).join(', ')}]
version = "${KAFKA_PROTOCOL}"
topic = "${TOPIC}"
routing_tag = "device"
required_acks = -1
compression_codec = 0
data_format = "influx"
`
}

function kafkaToInflux({ kafka, influxdb }: Servers): string {
  return `[[inputs.kafka_consumer]]
brokers = [${kafka.brokers.map((broker) => `"${broker}"`).join(', ')}]
version = "${KAFKA_PROTOCOL}"
topics = ["${TOPIC}"]
consumer_group = "chain"
offset = "oldest"
max_undelivered_messages = 20000
data_format = "influx"

[[outputs.influxdb_v2]]
urls = ["${influxdb.url}"]
token = "${influxdb.token}"
organization = "${influxdb.org}"
bucket = "${BUCKET}"
content_encoding = "identity"
`
}

async function makeTopic(brokers: readonly string[], numPartitions: number): Promise<void> {
  const admin = new KafkaJs({ clientId: 'bench', brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions, replicationFactor: 1 }] })
  await admin.disconnect()
}

async function makeBucket(influxdb: Influxdb): Promise<void> {
  const headers = { authorization: `Token ${influxdb.token}` }
  const found = await fetch(`${influxdb.url}/api/v2/orgs?org=${influxdb.org}`, { headers })
  const { orgs } = (await found.json()) as { orgs: readonly { id: string }[] }
  const body = JSON.stringify({ orgID: orgs[0]?.id, name: BUCKET, retentionRules: [] })
  const made = await fetch(`${influxdb.url}/api/v2/buckets`, { method: 'POST', headers, body })
  // 422: it is there.
  if (!made.ok && made.status !== 422) throw new Error(`InfluxDB makes no bucket: ${await made.text()}`)
}

/** Asks InfluxDB itself, as a dashboard would. */
async function readTimes(influxdb: Influxdb, device: FleetDevice, fromUs: number, toUs: number): Promise<number[]> {
  const range = `start: time(v: ${fromUs}000), stop: time(v: ${toUs}000)`
  const wanted = `r._measurement == "${MEASUREMENT}" and r.device == "${device.device}" and r._field == "seq"`
  const query = `from(bucket: "${BUCKET}") |> range(${range}) |> filter(fn: (r) => ${wanted})
  |> map(fn: (r) => ({ at: int(v: r._time) / 1000 }))`
  const response = await fetch(`${influxdb.url}/api/v2/query?org=${influxdb.org}`, {
    method: 'POST',
    headers: { authorization: `Token ${influxdb.token}`, 'content-type': 'application/vnd.flux' },
    body: query,
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`InfluxDB answers a query with ${response.status}: ${text}`)
  return parseTimes(text)
}

/** The column `at` of an answer in CSV without annotations. */
export function parseTimes(csv: string): number[] {
  const [head = '', ...rows] = csv.split('\r\n')
  const column = head.split(',').indexOf('at')
  return rows.filter((row) => row !== '' && row !== head).map((row) => Number(row.split(',')[column]))
}
