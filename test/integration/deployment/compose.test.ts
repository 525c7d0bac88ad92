import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as rules from './compose-rules.ts'
import { haEnv, loadCompose, root, servicesIn, singleEnv, type Compose, type Service } from './compose-file.ts'

/** A wrong variant of the document. YAML anchors share objects, a copy of the text does not. */
function variant(change: (compose: Compose) => void): Compose {
  const copy = JSON.parse(JSON.stringify(loadCompose())) as Compose
  change(copy)
  return copy
}

function service(compose: Compose, name: string): Service {
  const found = compose.services[name]
  if (found === undefined) throw new Error(`no service ${name}`)
  return found
}

const on = (name: string, change: (service: Service) => void) => (compose: Compose) => change(service(compose, name))
const merge = (name: string, fields: Service) => on(name, (it) => Object.assign(it, fields))
const environment = (name: string, variables: Record<string, string>) =>
  on(name, (it) => Object.assign((it.environment ??= {}), variables))

/** Each rule with documents that it must refuse, and what it says of them. */
const cases: Record<string, [rules.Rule, ...[string, (compose: Compose) => void, string][]]> = {
  'images are pinned': [
    rules.imagesArePinned,
    ['latest', merge('mariadb', { image: 'mariadb:latest' }), 'mariadb: image'],
    ['no tag', merge('influxdb', { image: 'influxdb' }), 'influxdb: image'],
    ['a moving tag', merge('redis-cache', { image: 'redis:7.2-alpine' }), 'redis-cache: image'],
  ],
  'all are checked': [
    rules.allAreChecked,
    ['no health check', on('kafka-2', (it) => delete it.healthcheck), 'kafka-2: no health check'],
    ['switched off', merge('broker', { healthcheck: { disable: true } }), 'broker: no health check'],
  ],
  'secrets are files': [
    rules.secretsAreFiles,
    ['a password', environment('mariadb', { MARIADB_PASSWORD: 'x' }), 'mariadb: MARIADB_PASSWORD'],
    ['in a URL', environment('broker', { KAFKA_BROKERS: 'x://a:b@kafka' }), 'broker: KAFKA_BROKERS'],
    [
      'not its own',
      environment('broker', { ADMIN_TOKEN_FILE: '/run/secrets/admin-token' }),
      'broker: ADMIN_TOKEN_FILE',
    ],
    [
      'from the environment',
      (it) => (it.secrets['admin-token'] = { environment: 'T' }),
      'secret admin-token is no file',
    ],
  ],
  'starts in order': [
    rules.startsInOrder,
    ['no wait', on('broker', (it) => delete it.depends_on?.['mariadb']), 'broker: does not wait for mariadb'],
    [
      'only started',
      on('query-api', (it) => (it.depends_on = { ...it.depends_on, mariadb: { condition: 'service_started' } })),
      'query-api: waits for mariadb in a wrong way',
    ],
    [
      'a Kafka that the profile lacks',
      on('broker', (it) => (it.depends_on = { ...it.depends_on, kafka: { condition: 'service_healthy' } })),
      'broker: waits for kafka in a wrong way',
    ],
  ],
  'networks are apart': [
    rules.networksAreApart,
    ['database for devices', merge('mariadb', { networks: ['database', 'devices'] }), 'mariadb: is in'],
    ['a broker beside HAProxy', merge('broker', { networks: ['devices', 'backend'] }), 'broker: is in'],
    ['worker for devices', merge('ingest-worker', { networks: ['devices'] }), 'ingest-worker: is in devices'],
    ['host network', merge('broker', { network_mode: 'host' }), 'broker: network mode host'],
    ['a way out', (it) => (it.networks['database'] = {}), 'network database has a way out'],
  ],
  'processes are bounded': [
    rules.processesAreBounded,
    ['all of the machine', on('broker', (it) => delete it.deploy), 'broker: limits'],
    ['lost beside replicas', merge('ingest-worker', { deploy: { replicas: 2 } }), 'ingest-worker: limits'],
    ['names without effect', on('query-api', (it) => delete it.env_file), 'query-api: does not read .env'],
  ],
  'ports are on loopback': [
    rules.portsAreOnLoopback,
    ['on every address', merge('haproxy', { ports: ['1883:1883'] }), 'haproxy: ports 1883:1883'],
    ['a broker past HAProxy', merge('broker', { ports: ['8883:8883'] }), 'broker: ports 8883:8883'],
    ['a database', merge('influxdb', { ports: ['127.0.0.1:8086:8086'] }), 'influxdb: ports'],
  ],
  'clients are known behind HAProxy': [
    rules.clientsAreKnown,
    ['not told', environment('broker', { MQTT_PROXY_PROTOCOL: 'off' }), 'broker: takes HAProxy'],
    ['told by anybody', environment('query-api', { HTTP_PROXY_FROM: '0.0.0.0/0' }), 'query-api: HTTP_PROXY_FROM'],
    ['any subnet', (it) => (it.networks['edge'] = { internal: true }), 'broker: MQTT_PROXY_FROM'],
  ],
  'all are confined': [
    rules.allAreConfined,
    ['root', merge('broker', { user: '0:0' }), 'broker: user "0:0"'],
    ['the user of the image', on('mariadb', (it) => delete it.user), 'mariadb: user ""'],
    ['writable root', merge('query-api', { read_only: false }), 'query-api: has a writable root'],
    ['capabilities', merge('kafka', { cap_drop: [] }), 'kafka: keeps capabilities'],
    ['one more', merge('volumes', { cap_add: ['CHOWN', 'SYS_ADMIN'] }), 'volumes: adds'],
    ['root with a network', on('volumes', (it) => delete it.network_mode), 'volumes: user "0:0"'],
    ['new privileges', merge('redis-cache', { security_opt: [] }), 'redis-cache: may gain privileges'],
    ['privileged', merge('broker', { privileged: true }), 'broker: is privileged'],
    ['no /tmp', merge('ingest-worker', { tmpfs: [] }), 'ingest-worker: has no /tmp'],
  ],
  'lives and stops well': [
    rules.livesAndStopsWell,
    ['never restarted', merge('broker', { restart: 'no' }), 'broker: restart no'],
    [
      'killed in the drain',
      merge('ingest-worker', { stop_grace_period: '10s' }),
      'ingest-worker: stop_grace_period 10s',
    ],
  ],
  'volumes are named': [
    rules.volumesAreNamed,
    ['a folder of the host', merge('mariadb', { volumes: ['./data:/var/lib/mysql'] }), 'mariadb: volume'],
    ['an undeclared one', (it) => delete it.volumes['influxdb'], 'influxdb: volume'],
  ],
  'Kafka is durable': [
    rules.kafkaIsDurable,
    [
      'no flush',
      on('kafka', (it) => delete it.environment?.['KAFKA_LOG_FLUSH_INTERVAL_MESSAGES']),
      'kafka: KAFKA_LOG_F',
    ],
    ['one in-sync copy', environment('kafka-3', { KAFKA_MIN_INSYNC_REPLICAS: '1' }), 'kafka-3: KAFKA_MIN_INSYNC'],
    ['two copies', environment('kafka-1', { KAFKA_DEFAULT_REPLICATION_FACTOR: '2' }), 'kafka-1: KAFKA_DEFAULT'],
    ['two brokers', merge('kafka-3', { profiles: ['other'] }), 'ha runs kafka-1,kafka-2'],
    ['four brokers', on('kafka', (it) => delete it.profiles), 'ha runs kafka,kafka-1'],
    ['a broker not found', merge('kafka-2', { networks: ['backend'] }), 'kafka-2: does not answer to kafka'],
  ],
  'Redis keeps sessions': [
    rules.redisKeepsSessions,
    ['evicted', merge('redis-sessions', { command: ['redis-server', '--appendonly', 'yes'] }), 'redis-sessions: maxm'],
    ['in memory only', merge('redis-sessions', { volumes: [] }), 'redis-sessions: no volume'],
  ],
}

describe.each(Object.entries(cases))('%s', (_name, [rule, ...wrong]) => {
  it.each([singleEnv, haEnv])('in docker-compose.yml, profile $COMPOSE_PROFILES', (env) => {
    expect(rule(loadCompose(env))).toEqual([])
  })

  it.each(wrong)('and not with: %s', (_title, change, problem) => {
    expect(rule(variant(change)).join('\n')).toContain(problem)
  })
})

describe('docker-compose.yml', () => {
  it('says what to do when the secrets were not made', () => {
    expect(() => loadCompose({})).toThrow('make-secrets.sh')
  })

  it('holds as many brokers and workers as are wanted, and one of everything else', () => {
    const scaledIn = (env: Record<string, string>) =>
      Object.entries(loadCompose({ ...singleEnv, ...env }).services)
        .filter(([, { deploy }]) => deploy?.replicas !== undefined)
        .map(([name, { deploy }]) => [name, deploy?.replicas])
    expect(scaledIn({})).toEqual([
      ['broker', 1],
      ['ingest-worker', 2],
    ])
    expect(scaledIn({ BROKERS: '3' })[0]).toEqual(['broker', 3])
    const { services } = loadCompose()
    for (const name of ['broker', 'ingest-worker']) expect(services[name]).not.toHaveProperty('ports')
    expect(servicesIn(loadCompose(), 'single')).toHaveLength(12)
  })

  it('gives the token that writes to the workers alone', () => {
    const { services } = loadCompose()
    const users = (volume: string) =>
      Object.entries(services)
        .filter(([, { volumes = [] }]) => volumes.some((it) => typeof it === 'object' && it.source === volume))
        .map(([name]) => name)
    expect(users('influx-worker-token')).toEqual(['ingest-worker', 'volumes', 'influx-tokens'])
    expect(users('influx-api-token')).toEqual(['query-api', 'volumes', 'influx-tokens'])
  })

  it('runs the versions that the cluster tests run, and our own', () => {
    const { services } = loadCompose()
    const tested = (file: string) =>
      /^const VERSION = '([\d.]+)'$/m.exec(readFileSync(join(root, 'load-tests/servers', file), 'utf8'))?.[1]
    expect(services['kafka']?.image).toBe(`apache/kafka:${tested('kafka.ts')}`)
    expect(services['influxdb']?.image).toBe(`influxdb:${tested('influxdb.ts')}`)
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    const ours = Object.values(services).filter(({ build }) => build === '.')
    expect(ours.map(({ image }) => image)).toEqual(ours.map(() => `sluice:${version}`))
    expect(ours).toHaveLength(7)
  })
})
