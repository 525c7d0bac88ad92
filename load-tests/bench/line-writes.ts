/**
 * Line protocol posted to Sluice standalone and to an InfluxDB 2 of its own on this machine, in the same run: points per second
 * until the answer, in bodies of 1,000 and 5,000 lines of a fleet like Telegraf's (ten hosts, tags, three fields), from one and
 * from four connections, plain and gzip; and for Sluice until the last point is stored. In one run Sluice's lines go to the device of the
 * token, in the other each host is a device, whose readings are handed on.
 *
 *     node load-tests/bench/line-writes.ts [thousand points per row, default 300]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { startInfluxdb } from '../servers/influxdb.ts'
import { startService } from './standalone-service.ts'

const FIELDS = 3
const HOSTS = 10
const total = Number(process.argv[2] ?? 300) * 1000

/** Bodies that hold so many lines each, none of which stood in another: `run` makes them of another time. */
function bodies(lines: number, run: number): Buffer[] {
  const start = Date.UTC(2026, 0, 1) + run * 86_400_000
  const count = Math.ceil(total / FIELDS / lines)
  return Array.from({ length: count }, (_body, body) => {
    const text = Array.from({ length: lines }, (_line, line) => {
      const n = body * lines + line
      const fields = `usage_idle=${90 + (n % 97) / 10},usage_user=${(n % 31) / 10},context_switches=${n}i`
      return `cpu,cpu=cpu${n % 4},host=web-${n % HOSTS} ${fields} ${start + n}000000`
    })
    return Buffer.from(text.join('\n'))
  })
}

interface Target {
  readonly name: string
  readonly url: string
  readonly token: string
  /** Resolves when all that was posted is stored. */
  readonly stored?: () => Promise<void>
}

/** Posts until it is taken, as clients do. */
async function post(target: Target, body: Buffer, headers: Record<string, string>): Promise<void> {
  for (;;) {
    const answer = await fetch(target.url, {
      ...{
        method: 'POST',
        headers: { authorization: `Token ${target.token}`, ...headers },
        body: new Uint8Array(body),
      },
    })
    if (answer.status === 204) return
    const again = Number(answer.headers.get('retry-after') ?? 0)
    if (answer.status !== 503 || again === 0) throw new Error(`${target.name}: ${answer.status} ${await answer.text()}`)
    await delay(again * 1000)
  }
}

let runs = 0

async function measure(target: Target, lines: number, connections: number, isGzip: boolean): Promise<void> {
  const plain = bodies(lines, runs++)
  const all = isGzip ? plain.map((body) => gzipSync(body)) : plain
  const headers: Record<string, string> = isGzip ? { 'content-encoding': 'gzip' } : {}
  const began = performance.now()
  const waiting = all.values()
  await Promise.all(
    Array.from({ length: connections }, async () => {
      for (const body of waiting) await post(target, body, headers)
    }),
  )
  const answered = (performance.now() - began) / 1000
  await target.stored?.()
  const stored = (performance.now() - began) / 1000
  const points = all.length * lines * FIELDS
  const rate = (seconds: number) => Math.round(points / seconds).toLocaleString('en')
  const row = [target.name, lines, connections, isGzip ? 'gzip' : 'plain', rate(answered)]
  console.log([...row, target.stored === undefined ? '' : rate(stored)].join(' | '))
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
const [influxdb, service] = [await startInfluxdb(folder), await startService()]
try {
  const made = await service.api.post<{ token: string }>('/v1/devices', { tenant: 'demo', device: 'web' })
  const rules = [{ effect: 'allow', action: 'publish', topic: 't/demo/+/telemetry/#' }]
  const application = { name: 'telegraf', rules, createsDevices: true }
  const several = await service.api.post<{ token: string }>('/v1/applications', application)
  const stored = async () => {
    for (;;) {
      const { partitions } = await service.api.get<{ partitions: { records: number }[] }>('/v1/log')
      if (partitions.every(({ records }) => records === 0)) return
      await delay(20)
    }
  }
  const sluice = new URL('/api/v2/write', service.api.url).href
  const bucket = new URLSearchParams({ org: influxdb.org, bucket: 'bench' }).toString()
  await makeBucket()
  const targets: Target[] = [
    { name: 'InfluxDB 2.7', url: `${influxdb.url}/api/v2/write?${bucket}`, token: influxdb.token },
    { name: 'Sluice, own device', url: sluice, token: made.token, stored },
    { name: 'Sluice, ten devices', url: sluice, token: several.token, stored },
  ]
  console.log('target | lines per body | connections | body | points/s answered | points/s stored')
  for (const target of targets) await measure(target, 1_000, 1, false)
  for (const [lines, connections, isGzip] of [
    [1_000, 1, false],
    [5_000, 1, false],
    [5_000, 4, false],
    [5_000, 4, true],
  ] as const) {
    for (const target of targets) await measure(target, lines, connections, isGzip)
  }
} finally {
  await service.stop()
  await influxdb.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function makeBucket(): Promise<void> {
  const headers = { authorization: `Token ${influxdb.token}`, 'content-type': 'application/json' }
  const orgs = (await (await fetch(`${influxdb.url}/api/v2/orgs`, { headers })).json()) as { orgs: { id: string }[] }
  const body = JSON.stringify({ orgID: orgs.orgs[0]?.id, name: 'bench', retentionRules: [] })
  const answer = await fetch(`${influxdb.url}/api/v2/buckets`, { method: 'POST', headers, body })
  if (!answer.ok) throw new Error(await answer.text())
}
