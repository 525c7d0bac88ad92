/**
 * The cluster on this machine, on real servers: messages stored per second, CPU of each part, and how long a reading
 * takes from PUBLISH until it can be queried; beside it, in the same run and on the same Kafka and InfluxDB, the chain
 * Mosquitto -> Telegraf -> Kafka -> Telegraf -> InfluxDB; and how fast workers take a full log. Load and servers share
 * the machine.
 *
 *     node load-tests/bench/cluster.ts [sluice] [chain] [drain] [options]
 *
 * Without names all three run, in less than 8 minutes on 2 cores. Options: --json, --seconds <at 5,000/s, 15>,
 * --messages <without a limit, 200000>, --records <to drain, 1000000>, --workers <1>, --devices <200>, --partitions <12>,
 * --cpu-prof <folder for profiles of Sluice's processes>.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startAll, type Servers } from '../servers/all.ts'
import { chainTarget } from '../cluster/chain-target.ts'
import { runDrain, type DrainResult } from '../cluster/drain.ts'
import { runPhase, type Load, type PhaseResult, type Target } from '../cluster/phase.ts'
import { loadName, ratiosOf, reportText } from '../cluster/report.ts'
import { sluiceTarget } from '../cluster/sluice-target.ts'
import { StoredPoints } from '../cluster/stored-points.ts'

const RATE = 5_000
const WARM_UP: Load = { rate: 2_000, inflight: 16, messages: 8_000 }
/** Nothing stored for so long: what came before is done. */
const REST_MS = 1_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '15' },
    messages: { type: 'string', default: '200000' },
    records: { type: 'string', default: '1000000' },
    workers: { type: 'string', default: '1' },
    devices: { type: 'string', default: '200' },
    partitions: { type: 'string', default: '12' },
    'cpu-prof': { type: 'string' },
  },
})
const [seconds, messages, records, workers, devices, partitions] = [
  values.seconds,
  values.messages,
  values.records,
  values.workers,
  values.devices,
  values.partitions,
].map(Number) as [number, number, number, number, number, number]
const profiles = values['cpu-prof'] === undefined ? undefined : resolve(values['cpu-prof'])

const LOADS: readonly Load[] = [
  { rate: RATE, inflight: 1, messages: RATE * seconds },
  { rate: RATE, inflight: 16, messages: RATE * seconds },
  { rate: 0, inflight: 1, messages },
  { rate: 0, inflight: 16, messages },
]

async function measure(starting: Promise<Target>, stored: StoredPoints): Promise<PhaseResult[]> {
  const target = await starting
  const results: PhaseResult[] = []
  try {
    note(`${target.name}: warming up`)
    await runPhase(target, stored, WARM_UP)
    for (const load of LOADS) {
      await stored.rest(REST_MS)
      note(`${target.name}: ${loadName(load)}`)
      results.push(await runPhase(target, stored, load))
    }
  } finally {
    await target.close()
  }
  return results
}

async function run(servers: Servers, folder: string, isWanted: (name: string) => boolean) {
  const stored = new StoredPoints(servers.influxdb.url)
  const phases: PhaseResult[] = []
  const drains: DrainResult[] = []
  const shared = { servers, folder, devices, partitions }
  if (isWanted('sluice')) phases.push(...(await measure(sluiceTarget({ ...shared, workers, profiles }), stored)))
  if (isWanted('chain')) phases.push(...(await measure(chainTarget(shared), stored)))
  for (const count of isWanted('drain') ? [1, 2] : []) {
    await stored.rest(REST_MS)
    note(`drain: ${records} records, ${count} worker(s)`)
    const drain = await runDrain({ ...shared, stored, workers: count, records })
    if (drain === undefined) note('most of it was stored before all workers were ready: take more --records')
    else drains.push(drain)
  }
  return { phases, drains }
}

function note(line: string): void {
  process.stderr.write(`${line}\n`)
}

const unknown = positionals.filter((name) => !['sluice', 'chain', 'drain'].includes(name))
if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(', ')}; there are sluice, chain and drain`)
const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
const servers = await startAll(folder, { brokers: 1 })
try {
  const results = await run(servers, folder, (name) => positionals.length === 0 || positionals.includes(name))
  const ratios = ratiosOf(results.phases)
  console.log(values.json ? JSON.stringify({ ...results, ratios }, undefined, 2) : reportText(results))
  await servers.stop()
  rmSync(folder, { recursive: true, force: true })
} catch (error) {
  await servers.stop()
  note(`The logs of all processes stay in ${folder}.`)
  throw error
}
