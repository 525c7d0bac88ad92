/**
 * A mutating fuzzer against a real process: valid packets of both versions of MQTT, changed ones and noise, logged in and
 * not, cut anywhere; connections that close their side, are reset, go, or wait; one in ten comes in over WebSocket, or on
 * the TLS port without speaking TLS. Beside them a device publishes at QoS 1 all the time.
 *
 *     node load-tests/bench/fuzz.ts [--connections 100000] [--seed 1] [--at-once 200] [--growth-mb 24] [--json]
 *
 * Ends with code 1 unless: the process lives to the end and stops with code 0, with unhandled rejections made fatal; its
 * log has no error; every message of the witness was acknowledged; connections, logins and messages are back to those of
 * the witness; resident memory grew by less than --growth-mb between 10 % of the connections and all of them, both
 * without garbage (the least of some readings after forced collections). The same seed sends the same bytes.
 */
import { parseArgs } from 'node:util'
import { textTable } from '../../shared/text-table.ts'
import { ALONE, fuzz } from '../hostile/fuzz.ts'
import { requireHandles } from '../storms/file-handles.ts'

const OTHER_HANDLES = 500
const MB = 1e6

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    'at-once': { type: 'string', default: '200' },
    'growth-mb': { type: 'string', default: '24' },
    json: { type: 'boolean', default: false },
  },
})
const options = {
  connections: Number(values.connections),
  seed: Number(values.seed),
  atOnce: Number(values['at-once']),
}
requireHandles(options.atOnce + OTHER_HANDLES)

const figures = await fuzz(options, (text) => process.stderr.write(`${text}\n`))
const { witness, left, outcomes } = figures
const growth = (figures.memoryAfter - figures.memoryBefore) / MB
const lateGrowth = (figures.memoryAfter - figures.memoryMiddle) / MB
const checks: readonly (readonly [string, string | number, string | number, boolean])[] = [
  ['exit code', 0, figures.exitCode, figures.exitCode === 0],
  ['errors in the log', 0, figures.complaints.length, figures.complaints.length === 0],
  ['connections that the broker did not end', 0, outcomes.stuck, outcomes.stuck === 0],
  ['witness: acknowledged', witness.sent, witness.acknowledged, witness.acknowledged === witness.sent],
  ...keysOf(ALONE).map((name) => [`left: ${name}`, ALONE[name], left[name], left[name] === ALONE[name]] as const),
  ['memory growth, MB', `< ${values['growth-mb']}`, growth.toFixed(1), growth < Number(values['growth-mb'])],
  ['of it in the second half', '-', lateGrowth.toFixed(1), true],
]
const isGood = checks.every(([, , , holds]) => holds)
if (values.json) console.log(JSON.stringify({ ...figures, isGood }))
else print()
if (!isGood) process.exitCode = 1

function print(): void {
  const { connections, seed, seconds, perSecond, violations, webSockets, complaints } = figures
  console.log(`${connections} connections with seed ${seed} in ${seconds} s: ${perSecond} a second`)
  console.log(
    `${webSockets} let in over WebSocket; ${violations} violations counted; ${JSON.stringify(outcomes)}; slowest ack ${witness.slowestMs} ms`,
  )
  const rows = checks.map(([name, wanted, got, holds]) => [name, String(wanted), String(got), holds ? 'yes' : 'NO'])
  console.log(textTable(['', 'wanted', 'found', 'holds'], rows))
  for (const line of complaints) console.log(line)
}

function keysOf<T extends object>(value: T): (keyof T & string)[] {
  return Object.keys(value) as (keyof T & string)[]
}
