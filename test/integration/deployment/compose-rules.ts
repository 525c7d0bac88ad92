import { networksOf, oneShots, servicesIn, type Compose, type Service } from './compose-file.ts'

/** What a document does wrong, one line each; empty when it keeps the rule. */
export type Rule = (compose: Compose) => string[]

const databases = ['influxdb', 'mariadb', 'redis-sessions', 'redis-cache']
const kafkas = ['kafka', 'kafka-1', 'kafka-2', 'kafka-3']

function each(compose: Compose, problem: (service: Service, name: string) => string | false | undefined): string[] {
  return Object.entries(compose.services).flatMap(([name, service]) => {
    const found = problem(service, name)
    return typeof found === 'string' ? [`${name}: ${found}`] : []
  })
}

export const imagesArePinned: Rule = (compose) =>
  each(compose, ({ image = 'none' }) => !/^[a-z/]+:\d+\.\d+\.\d+(-[a-z0-9.]+)?$/.test(image) && `image ${image}`)

/** What runs once has none, and what somebody starts by hand. */
export const allAreChecked: Rule = (compose) =>
  each(compose, ({ healthcheck, profiles = [] }, name) => {
    if (oneShots(compose).has(name) || profiles.includes('cli')) return false
    return (healthcheck?.disable === true || healthcheck?.test?.[0] !== 'CMD') && 'no health check'
  })

const namesSecret = (name: string) => /(PASSWORD|TOKEN|SECRET|KEY|MARIADB_URL)(_FILE)?$/.test(name)

/** A secret is in no variable, only the path of its file, which the service was given. */
export const secretsAreFiles: Rule = (compose) => [
  ...Object.entries(compose.secrets)
    .filter(([name, { file }]) => file !== `./secrets/${name}`)
    .map(([name]) => `secret ${name} is no file of ./secrets`),
  ...Object.entries(compose.services).flatMap(([name, { environment = {}, secrets = [], volumes = [] }]) =>
    Object.entries(environment)
      .filter(([variable, value]) => {
        const text = String(value)
        if (/:\/\/[^/]*:[^/]*@/.test(text)) return true
        if (!namesSecret(variable)) return false
        const known = secrets.some((secret) => text === `/run/secrets/${secret}` && secret in compose.secrets)
        const mounted = volumes.some((it) => typeof it === 'object' && it.read_only && text.startsWith(`${it.target}/`))
        return !variable.endsWith('_FILE') || !(known || mounted)
      })
      .map(([variable]) => `${name}: ${variable}`),
  ),
]

/** Who must be waited for, and that the awaited can be: a health check, or an end. */
export const startsInOrder: Rule = (compose) => {
  const must: Record<string, readonly string[]> = {
    haproxy: ['broker', 'query-api'],
    broker: [...kafkas, 'mariadb', 'certificates'],
    'ingest-worker': [...kafkas, 'mariadb', 'influx-tokens', 'redis-cache'],
    'query-api': [...kafkas, 'mariadb', 'influx-tokens', 'redis-cache'],
    'influx-tokens': ['influxdb'],
    ...Object.fromEntries(
      [...kafkas, 'influxdb', 'mariadb', 'redis-sessions', 'certificates'].map((name) => [name, ['volumes']]),
    ),
  }
  return each(compose, ({ depends_on = {} }, name) => {
    const missing = (must[name] ?? []).find((it) => depends_on[it] === undefined)
    if (missing !== undefined) return `does not wait for ${missing}`
    const wrong = Object.entries(depends_on).find(([other, { condition, required }]) => {
      const awaited = compose.services[other]
      const optional = (awaited?.profiles ?? []).length > 0
      const expected = ['volumes', 'influx-tokens', 'certificates'].includes(other)
        ? 'service_completed_successfully'
        : 'service_healthy'
      return awaited === undefined || condition !== expected || (required ?? true) === optional
    })
    return wrong !== undefined && `waits for ${wrong[0]} in a wrong way`
  })
}

export const networksAreApart: Rule = (compose) => {
  const expected: Record<string, string> = {
    haproxy: 'devices edge',
    broker: 'backend database edge metrics',
    'ingest-worker': 'backend database metrics',
    'query-api': 'backend database edge metrics',
    cli: 'edge',
    'influx-tokens': 'database',
    volumes: '',
    certificates: '',
    ...Object.fromEntries(databases.map((name) => [name, 'database'])),
    ...Object.fromEntries(kafkas.map((name) => [name, 'backend'])),
  }
  const open = ['backend', 'database', 'edge', 'metrics'].filter((name) => compose.networks[name]?.internal !== true)
  return [
    ...open.map((name) => `network ${name} has a way out`),
    ...each(compose, (service, name) => {
      const joined = networksOf(service).toSorted().join(' ')
      if ((service.network_mode ?? 'none') !== 'none') return `network mode ${service.network_mode}`
      return joined !== expected[name] && `is in ${joined}`
    }),
  ]
}

/** Our processes take no more of the machine than they are given, and the settings of .env. */
export const processesAreBounded: Rule = (compose) =>
  each(compose, ({ deploy, env_file }, name) => {
    if (!['haproxy', 'broker', 'ingest-worker', 'query-api'].includes(name)) return false
    const { cpus, memory } = deploy?.resources?.limits ?? {}
    if (!/^[\d.]+$/.test(cpus ?? '') || !/^\d+[MG]$/.test(memory ?? '')) return `limits ${cpus} ${memory}`
    return name !== 'haproxy' && env_file?.[0]?.path !== '.env' && 'does not read .env'
  })

/** Whatever is not encrypted. */
export const portsAreOnLoopback: Rule = (compose) => {
  const expected: Record<string, string> = {
    haproxy: '127.0.0.1:1883:1883 8883:8883 127.0.0.1:9001:9001 127.0.0.1:8080:8080',
  }
  return each(
    compose,
    ({ ports = [] }, name) => ports.join(' ') !== (expected[name] ?? '') && `ports ${ports.join(' ')}`,
  )
}

/** Who hands connections on says whose they are, and is believed by its address alone. */
export const clientsAreKnown: Rule = (compose) => {
  const { subnet } = compose.networks['edge']?.ipam?.config?.[0] ?? {}
  const from = (name: string, variable: string) => environmentOf(compose, name)[variable]
  const problems: string[] = []
  if (from('broker', 'MQTT_PROXY_PROTOCOL') !== 'on') problems.push('broker: takes HAProxy for every client')
  for (const [name, variable] of [
    ['broker', 'MQTT_PROXY_FROM'],
    ['query-api', 'HTTP_PROXY_FROM'],
  ] as const) {
    if (subnet === undefined || from(name, variable) !== subnet)
      problems.push(`${name}: ${variable} is not network edge`)
  }
  return problems
}

export const allAreConfined: Rule = (compose) =>
  each(compose, (service, name) => {
    const { user = '', cap_drop = [], cap_add = [], security_opt = [], tmpfs = [] } = service
    // One service prepares new volumes: root, with the one right that takes, and no network.
    const prepares = name === 'volumes' && service.network_mode === 'none'
    if (prepares ? user !== '0:0' : !/^[1-9]\d*:[1-9]\d*$/.test(user)) return `user "${user}"`
    if (cap_add.join() !== (prepares ? 'CHOWN' : '')) return `adds ${cap_add.join()}`
    if (cap_drop.join() !== 'ALL') return 'keeps capabilities'
    if (service.privileged === true) return 'is privileged'
    if (service.read_only !== true) return 'has a writable root'
    if (!security_opt.includes('no-new-privileges:true')) return 'may gain privileges'
    return !tmpfs.some((it) => it.startsWith('/tmp:')) && 'has no /tmp'
  })

/** Comes back after a crash, and has more than the 10 s that a clean stop takes. */
export const livesAndStopsWell: Rule = (compose) =>
  each(compose, ({ restart, stop_grace_period = '0s', profiles = [] }, name) => {
    const ends = oneShots(compose).has(name) || profiles.includes('cli')
    if (restart !== (ends ? 'no' : 'unless-stopped')) return `restart ${restart}`
    const seconds = /^(\d+)s$/.exec(stop_grace_period)?.[1]
    return !(Number(seconds) > 10) && `stop_grace_period ${stop_grace_period}`
  })

/** Data is in named volumes and nowhere else, and a volume begins empty, whatever the image holds there. */
export const volumesAreNamed: Rule = (compose) =>
  each(compose, ({ volumes = [] }) => {
    const wrong = volumes.find(
      (it) => typeof it === 'string' || it.type !== 'volume' || !(it.source in compose.volumes) || !it.volume?.nocopy,
    )
    return wrong !== undefined && `volume ${JSON.stringify(wrong)}`
  })

function environmentOf(compose: Compose, name: string): Record<string, string> {
  const entries = Object.entries(compose.services[name]?.environment ?? {})
  return Object.fromEntries(entries.map(([variable, value]) => [variable, String(value)]))
}

/** One broker flushes each message; three keep three copies and need two. */
export const kafkaIsDurable: Rule = (compose) => {
  const problems: string[] = []
  const running = (profile: string) => servicesIn(compose, profile).filter((name) => kafkas.includes(name))
  const expect = (name: string, expected: Record<string, string>) => {
    const actual = environmentOf(compose, name)
    for (const [variable, value] of Object.entries(expected)) {
      if (actual[variable] !== value) problems.push(`${name}: ${variable} is ${actual[variable]}`)
    }
  }
  const copies = (count: string, minIsr: string) => ({
    KAFKA_DEFAULT_REPLICATION_FACTOR: count,
    KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: count,
    KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: count,
    KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: minIsr,
    KAFKA_MIN_INSYNC_REPLICAS: minIsr,
    KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
  })
  if (running('single').join() !== 'kafka') problems.push(`single runs ${running('single').join()}`)
  expect('kafka', { ...copies('1', '1'), KAFKA_LOG_FLUSH_INTERVAL_MESSAGES: '1' })
  if (running('ha').join() !== 'kafka-1,kafka-2,kafka-3') problems.push(`ha runs ${running('ha').join()}`)
  const voters = [1, 2, 3].map((node) => `${node}@kafka-${node}:9093`).join()
  for (const node of [1, 2, 3]) {
    const own = { KAFKA_NODE_ID: String(node), KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://kafka-${node}:9092` }
    expect(`kafka-${node}`, { ...copies('3', '2'), ...own, KAFKA_CONTROLLER_QUORUM_VOTERS: voters })
    const { networks = {} } = compose.services[`kafka-${node}`] ?? {}
    const aliases = Array.isArray(networks) ? [] : networks['backend']?.aliases
    if (aliases?.join() !== 'kafka') problems.push(`kafka-${node}: does not answer to kafka`)
  }
  const data = kafkas.map((name) => compose.services[name]?.volumes?.map((it) => typeof it === 'object' && it.source))
  if (data.join() !== kafkas.join()) problems.push(`data in ${data.join()}`)
  return problems
}

/** Sessions are kept whatever happens; the cache drops what is used least. */
export const redisKeepsSessions: Rule = (compose) => {
  const option = (name: string, key: string) => {
    const { command = [] } = compose.services[name] ?? {}
    return command[command.indexOf(`--${key}`) + 1]
  }
  const expected: readonly (readonly [string, string, string])[] = [
    ['redis-sessions', 'maxmemory-policy', 'noeviction'],
    ['redis-sessions', 'appendonly', 'yes'],
    ['redis-cache', 'maxmemory-policy', 'allkeys-lru'],
    ['redis-cache', 'appendonly', 'no'],
  ]
  const kept = compose.services['redis-sessions']?.volumes?.some(
    (it) => typeof it === 'object' && it.target === '/data',
  )
  return [
    ...expected.filter(([name, key, value]) => option(name, key) !== value).map(([name, key]) => `${name}: ${key}`),
    ...(kept === true ? [] : ['redis-sessions: no volume']),
  ]
}
