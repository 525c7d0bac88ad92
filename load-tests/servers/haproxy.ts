import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { freePorts, portAnswers, ServerProcess } from './server-process.ts'
import { findCommand, installPackages } from './tools.ts'

/** Ports of a broker behind it. */
export interface ProxiedNode {
  readonly mqtt: number
  readonly tls: number
  readonly operations: number
}

export interface Haproxy {
  readonly mqtt: number
  readonly tls: number
  /** Port of its page of figures. */
  readonly stats: number
  /** Nodes of each backend, in their order, that it gives connections to. */
  usable(): Promise<readonly boolean[]>
  stop(): Promise<void>
}

const SAMPLE = new URL('../../config/haproxy/haproxy.cfg', import.meta.url)
const COMPOSE = new URL('../../config/haproxy/compose.cfg', import.meta.url)
/** Each connection takes two file handles. */
const MAX_CONNECTIONS = 9_000

/**
 * HAProxy with the configuration that we hand out, before brokers of this machine; where there are fewer than three, the
 * names of the others are nobody's.
 */
export async function startHaproxy(folder: string, nodes: readonly ProxiedNode[]): Promise<Haproxy> {
  const why = 'HAProxy, before several brokers'
  await installPackages([{ command: 'haproxy', package: 'haproxy', why }])
  const [mqtt = 0, tls = 0, stats = 0] = await freePorts(3)
  const control = join(folder, 'haproxy.sock')
  const file = join(folder, 'haproxy.cfg')
  writeFileSync(file, configuration({ nodes, mqtt, tls, stats, control }))
  const command = findCommand('haproxy') ?? 'haproxy'
  const logFile = join(folder, 'haproxy.log')
  const server = new ServerProcess({
    ...{ name: 'HAProxy', command, args: ['-db', '-f', file], logFile },
    probe: portAnswers(mqtt),
  })
  await server.start()
  return { mqtt, tls, stats, usable: () => usable(control, nodes.length), stop: () => server.stop('SIGKILL') }
}

/** Ports of the services of docker-compose.yml, the same at each address that their names have. */
export interface ComposePorts {
  /** UDP, of who answers for Docker. */
  readonly dns: number
  readonly mqtt: number
  readonly http: number
  readonly operations: number
}

export interface ComposeHaproxy {
  readonly mqtt: number
  readonly http: number
  readonly health: number
  stop(): Promise<void>
}

/** HAProxy with the configuration of docker-compose.yml, on ports of its own. */
export async function startComposeHaproxy(folder: string, at: ComposePorts): Promise<ComposeHaproxy> {
  await installPackages([{ command: 'haproxy', package: 'haproxy', why: 'HAProxy of docker-compose.yml' }])
  const [mqtt = 0, tls = 0, webSocket = 0, http = 0, health = 0] = await freePorts(5)
  const own: Readonly<Record<string, string>> = {
    '127.0.0.11:53': `127.0.0.1:${at.dns}`,
    'maxconn "${HAPROXY_MAXCONN-30000}"': `maxconn ${MAX_CONNECTIONS}`,
    'port 8081': `port ${at.operations}`,
    ' broker:1883': ` broker:${at.mqtt}`,
    ' query-api:8080': ` query-api:${at.http}`,
    'bind :1883': `bind 127.0.0.1:${mqtt}`,
    'bind :8883': `bind 127.0.0.1:${tls}`,
    'bind :9001': `bind 127.0.0.1:${webSocket}`,
    'bind :8080': `bind 127.0.0.1:${http}`,
    '127.0.0.1:8404': `127.0.0.1:${health}`,
  }
  const text = Object.entries(own).reduce(
    (all, [from, to]) => {
      if (!all.includes(from)) throw new Error(`the configuration has no ${from}`)
      return all.replaceAll(from, to)
    },
    readFileSync(COMPOSE, 'utf8'),
  )
  const file = join(folder, 'compose.cfg')
  writeFileSync(file, text)
  const server = new ServerProcess({
    ...{ name: 'HAProxy', command: findCommand('haproxy') ?? 'haproxy', args: ['-db', '-f', file] },
    logFile: join(folder, 'haproxy.log'),
    probe: portAnswers(mqtt),
  })
  await server.start()
  return { mqtt, http, health, stop: () => server.stop('SIGKILL') }
}

function configuration(at: {
  readonly nodes: readonly ProxiedNode[]
  readonly mqtt: number
  readonly tls: number
  readonly stats: number
  readonly control: string
}): string {
  const lines = readFileSync(SAMPLE, 'utf8').split('\n')
  const own = lines.flatMap((line) => {
    const [, name = '', index, port] = /^ {2}server (broker-(\d)) broker-\d:(\d+)$/.exec(line) ?? []
    if (index === undefined) return [line]
    const node = at.nodes[Number(index) - 1]
    if (node === undefined) return [`  server ${name} ${name}.invalid:${port}`]
    return [`  server ${name} 127.0.0.1:${port === '1883' ? node.mqtt : node.tls} port ${node.operations}`]
  })
  return own
    .join('\n')
    .replace(/maxconn \d+/, `maxconn ${MAX_CONNECTIONS}\n  stats socket ${at.control} mode 600 level user`)
    .replace('bind :1883', `bind 127.0.0.1:${at.mqtt}`)
    .replace('bind :8883', `bind 127.0.0.1:${at.tls}`)
    .replace('bind 127.0.0.1:8404', `bind 127.0.0.1:${at.stats}`)
}

async function usable(control: string, nodes: number): Promise<boolean[]> {
  const socket = connect(control)
  await once(socket, 'connect')
  socket.end('show stat\n')
  const rows = (await text(socket)).split('\n').map((line) => line.split(','))
  const status = rows[0]?.indexOf('status') ?? -1
  const servers = rows.filter((row) => row[0] === 'brokers' && row[1]?.startsWith('broker-') === true)
  return servers.slice(0, nodes).map((row) => row[status]?.startsWith('UP') === true)
}
