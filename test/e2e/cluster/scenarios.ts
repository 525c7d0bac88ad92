/** Every fault that is injected, and the file it is in. `npm run test:faults` runs each of them with many seeds, the longest first. */
export const SCENARIOS = {
  'workers added and removed': 'scaling',
  'Kafka stopped': 'kafka',
  'worker killed before the write': 'kill-points',
  'worker killed between the stores': 'kill-points',
  'worker killed after both stores': 'kill-points',
  'worker killed before the commit': 'kill-points',
  'worker kill -9': 'processes',
  'worker hangs, and wakes': 'processes',
  'broker kill -9': 'processes',
  'rolling restart of everything': 'processes',
  'Kafka hangs': 'kafka',
  'topic changed by somebody': 'topic',
  'partitions taken in': 'repartition',
  'one of three Kafka brokers killed': 'leader-move',
  'InfluxDB answers 503': 'influxdb',
  'InfluxDB answers 429 with Retry-After': 'influxdb',
  'InfluxDB answers 401': 'influxdb',
  'InfluxDB stalls': 'influxdb',
  'InfluxDB killed': 'servers',
  'InfluxDB hangs': 'servers',
  'MariaDB killed': 'servers',
  'MariaDB read-only': 'servers',
  'Redis killed and flushed': 'servers',
} as const

export type ScenarioName = keyof typeof SCENARIOS

/** Those that leave their servers other than they found them: each seed needs servers of its own. */
export const CHANGES_SERVERS: ReadonlySet<string> = new Set<ScenarioName>([
  'topic changed by somebody',
  'partitions taken in',
])
