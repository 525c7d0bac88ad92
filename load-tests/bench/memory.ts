/**
 * Memory that connections cost a real process, and what it takes to make it hold more:
 *
 *     node load-tests/bench/memory.ts [flood] [idle] [options]
 *
 * flood: sockets that send a packet of 20 MB, before and after they log in. idle: devices that are connected and say
 * nothing, plain and over TLS, each on a fresh process; with a keepalive of 1,200 s, and with none, which the broker
 * makes 1,200 s and tells the device. Without names both run. Options: --connections <10000>, --sockets <20>,
 * --megabytes <20>, --json. Ends with code 1 when the flood before login makes the process grow by 10 MB; that after
 * login is of clients that somebody let in, and grows it by what Node lets gather before it collects.
 *
 * Memory is resident memory from /proc, without garbage: the least of some readings after forced collections.
 */
import { parseArgs } from 'node:util'
import { registerFleet } from '../../services/simulator/fleet.ts'
import { textTable } from '../../shared/text-table.ts'
import { floodAfterLogin, floodBeforeLogin, type FloodFigures } from '../hostile/flood.ts'
import { idleConnections, type IdleFigures } from '../hostile/idle.ts'
import { requireHandles } from '../storms/file-handles.ts'
import { startStormService } from '../storms/storm-service.ts'

/** File handles beside those of the clients. */
const OTHER_HANDLES = 1_000
const MB = 1e6
const MAX_GROWTH = 10 * MB
const BEFORE_LOGIN = 'CONNECT before login'
/** Floods before those that are measured. */
const WARM_UPS = 2

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    connections: { type: 'string', default: '10000' },
    sockets: { type: 'string', default: '20' },
    megabytes: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
})
const connections = Number(values.connections)
const isWanted = (name: string): boolean => positionals.length === 0 || positionals.includes(name)

requireHandles(connections + OTHER_HANDLES)
const flood: Readonly<Record<string, FloodFigures>> = isWanted('flood')
  ? await floods(Number(values.sockets), Number(values.megabytes) * MB)
  : {}
const idle: IdleFigures[] = []
if (isWanted('idle')) {
  idle.push(await idleConnections({ connections, tls: false, keepAliveSeconds: 1_200 }))
  idle.push(await idleConnections({ connections, tls: false, keepAliveSeconds: 0 }))
  idle.push(await idleConnections({ connections, tls: true, keepAliveSeconds: 1_200 }))
}
if (values.json) console.log(JSON.stringify({ flood, idle }))
else print()
if ((flood[BEFORE_LOGIN]?.peak ?? 0) >= MAX_GROWTH) process.exitCode = 1

/** Before and after login, on one process that has seen smaller ones. */
async function floods(sockets: number, bytes: number): Promise<Record<string, FloodFigures>> {
  const service = await startStormService({}, { collects: true })
  try {
    const devices = await registerFleet(service.api, { tenant: 'flood', prefix: 'd', count: sockets })
    for (let round = 0; round < WARM_UPS; round += 1) {
      await floodBeforeLogin(service, sockets, MB)
      await floodAfterLogin(service, devices, MB)
    }
    return {
      [BEFORE_LOGIN]: await floodBeforeLogin(service, sockets, bytes),
      'PUBLISH after login': await floodAfterLogin(service, devices, bytes),
      'the same again': await floodAfterLogin(service, devices, bytes),
    }
  } finally {
    await service.stop()
  }
}

function print(): void {
  const inMb = (bytes: number): string => (bytes / MB).toFixed(1)
  const rows = Object.entries(flood).map(([name, { offered, taken, read, acknowledged, peak, left }]) => [
    ...[name, inMb(offered), inMb(taken), inMb(read), String(acknowledged), inMb(peak), inMb(left)],
  ])
  const head = ['flood', 'offered MB', 'taken MB', 'read MB', 'acknowledged', 'growth MB', 'left MB']
  if (rows.length > 0) console.log(textTable(head, rows))
  if (idle.length === 0) return
  const idleRows = idle.map(({ tls, keepAliveSeconds, bytesEach, resident: { before, asIs, settled } }) => [
    ...[tls ? 'TLS' : 'plain', String(keepAliveSeconds), String(bytesEach)],
    ...[before, settled, asIs].map(inMb),
  ])
  const idleHead = [`${connections} idle`, 'keepalive s', 'bytes each', 'MB before', 'MB with them', 'MB with garbage']
  console.log(textTable(idleHead, idleRows))
}
