/**
 * The InfluxDB point store against a server of its own on this machine: points per second, and CPU-seconds per million
 * points of the client (this process) and of the server apart; batches of 1,000 and 5,000, one caller that waits for each,
 * readings of one and of three fields. Beside it, in the same run, the client's own transport with the same text made
 * before, which is what the store cannot go below, and with gzip.
 *
 *     node load-tests/bench/influx-points.ts [thousand points per row, default 200]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { InfluxDB } from '@influxdata/influxdb-client'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import { openInfluxPoints } from '../../shared/points/influx/open.ts'
import { LineWriter } from '../../shared/points/influx/lines.ts'
import type { PointBatch, Series } from '../../shared/telemetry.ts'
import { startInfluxdb, type Influxdb } from '../servers/influxdb.ts'

const DEVICES = 1000
const START = Date.UTC(2026, 0, 1)
const total = Number(process.argv[2] ?? 200) * 1000

function fleet(fields: number, stream: string): Series[][] {
  return Array.from({ length: DEVICES }, (_, device) =>
    Array.from({ length: fields }, (_, field) => {
      return { tenant: 'demo', device: `pump-${device}`, stream, field: `field${field}`, type: 'float' as const }
    }),
  )
}

function* batches(size: number, devices: readonly Series[][]): Generator<PointBatch> {
  let batch: PointBatch = { series: [], ms: [], ns: [], values: [] }
  let made = 0
  for (let reading = 0; made < total; reading++) {
    for (const series of devices[reading % devices.length] ?? []) {
      batch.series.push(series)
      batch.ms.push(START + reading)
      batch.ns.push(0)
      batch.values.push(20 + (reading % 997) / 100)
      made++
    }
    if (batch.series.length < size && made < total) continue
    yield batch
    batch = { series: [], ms: [], ns: [], values: [] }
  }
}

/** CPU-seconds of a process so far; fields 14 and 15 of /proc/pid/stat count in hundredths. */
function serverCpu({ process: { pid = 0 } }: Influxdb): number {
  const [, rest = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')
  const [user, system] = rest.split(' ').slice(11, 13).map(Number)
  return ((user ?? 0) + (system ?? 0)) / 100
}

async function measure<T>(server: Influxdb, name: string, items: readonly T[], send: (item: T) => Promise<unknown>) {
  const [cpu, theirs, began] = [process.cpuUsage(), serverCpu(server), performance.now()]
  for (const item of items) await send(item)
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const perMillion = (seconds: number) => ((seconds / total) * 1e6).toFixed(2).padStart(6)
  const own = perMillion((user + system) / 1e6)
  const rate = String(Math.round(total / seconds)).padStart(7)
  console.log(
    `  ${name.padEnd(28)} ${rate} points/s   client ${own}   server ${perMillion(serverCpu(server) - theirs)}`,
  )
}

async function run(server: Influxdb): Promise<void> {
  const { url, org, token } = server
  const shared = { logger: createLogger('warn'), metrics: createMetrics({ defaults: false }) }
  const store = await openInfluxPoints({ url, org, bucket: 'bench', token: () => token, ...shared })
  const agent = new Agent({ keepAlive: true })
  const { transport } = new InfluxDB({ url, token, transportOptions: { agent } })
  const path = `/api/v2/write?org=${org}&bucket=bench&precision=ns`
  const headers = { 'content-type': 'text/plain' }
  const post = (text: string) => transport.request(path, text, { method: 'POST', headers }) as Promise<unknown>
  const zipped = async (text: string) => {
    const body = gzipSync(text, { level: 1 })
    const headers = { authorization: `Token ${token}`, 'content-encoding': 'gzip' }
    const answer = await fetch(url + path, { method: 'POST', headers, body })
    if (!answer.ok) throw new Error(await answer.text())
  }
  for (const fields of [1, 3]) {
    for (const size of [1000, 5000]) {
      const stream = `fields${fields}-${size}`
      const made = [...batches(size, fleet(fields, stream))]
      console.log(`batches of ${size} points, ${fields} per reading; CPU-s per million points`)
      await measure(server, 'point store', made, (batch) => store.write(batch))
      await measure(server, 'point store, once more', made, (batch) => store.write(batch))
      const lines = new LineWriter()
      const texts = made.map((batch) => lines.write(batch, [...batch.series.keys()]))
      await measure(server, 'ready text, client transport', texts, post)
      await measure(server, 'ready text, fetch and gzip', texts, zipped)
    }
  }
  await store.close()
  agent.destroy()
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
const server = await startInfluxdb(folder)
try {
  await run(server)
} finally {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}
