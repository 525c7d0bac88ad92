import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { tableOf, type Result } from './e2e/cluster/results.ts'
import { CHANGES_SERVERS, SCENARIOS } from './e2e/cluster/scenarios.ts'

/** What needs no server, and its file. */
const PARTS = {
  'power cut of a whole server': 'test/e2e/losses/power-cut.faults.test.ts',
  'power cut of the log, every sync': 'test/integration/log/power-cut.test.ts',
  'power cut of the points, every sync': 'test/integration/points/power-cut.test.ts',
  'power cut of the registry, every sync': 'test/integration/registry/power-cut.test.ts',
  'power cut of the sessions, every sync': 'test/integration/sessions/power-cut.test.ts',
  'damage to any file': 'test/e2e/losses/damage.faults.test.ts',
  'kill of a server with sessions': 'test/e2e/sessions-kill.faults.test.ts',
}

const HELP = `npm run test:faults -- [options]

Every fault with many seeds, several at a time, and a table of results at the end.

  --only <text>      parts whose names hold this; case, blanks, commas and hyphens do not matter
  --seeds <from-to>  seeds of each part (1-20)
  --lanes <count>    parts that run at the same time (3); 1 where measured times matter
  --together <count> seeds of one scenario that run on the same servers (5)
  --out <folder>     of logs, results and the table; what ran there before counts, too

On one machine, without servers:

  ${Object.keys(PARTS).join('\n  ')}

On real servers, which are installed when they are missing; every other seed with devices that go from broker to broker,
at QoS 2 on persistent sessions, with readings without a time:

  ${Object.keys(SCENARIOS).join('\n  ')}
  variants: known-wrong compositions, which must lose
`

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    seeds: { type: 'string', default: '1-20' },
    lanes: { type: 'string', default: '3' },
    together: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    out: { type: 'string', default: join(tmpdir(), 'sluice-faults') },
  },
})
const root = join(import.meta.dirname, '..')
const out = resolve(values.out)
const resultFile = join(out, 'results.jsonl')
const tableFile = join(out, 'faults.md')

/** One run of vitest with servers of its own. */
interface Job {
  readonly name: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

function jobs(): Job[] {
  const [first = 1, last = first] = values.seeds.split('-').map(Number)
  const together = Number(values.together)
  const files: [string, string][] = Object.entries(PARTS)
  for (const [name, file] of Object.entries(SCENARIOS)) files.push([name, `test/e2e/cluster/${file}.cluster.test.ts`])
  const wanted = files.filter(([name]) => isWanted(name))
  const all: Job[] = []
  // Some seeds of every part before the next ones of any: a run that is ended early has seen everything.
  for (let from = first; from <= last; from += together) {
    const to = Math.min(last, from + together - 1)
    for (const [name, file] of wanted) {
      // Those have positions instead of seeds.
      if (from > first && !/e2e/.test(file)) continue
      const step = CHANGES_SERVERS.has(name) ? 1 : together
      for (let begin = from; begin <= to; begin += step) {
        const seeds = `${begin}-${Math.min(to, begin + step - 1)}`
        const env = { SLUICE_FAULT_SCENARIO: name, SLUICE_FAULT_SEEDS: seeds }
        all.push({ name: `${name}, seeds ${seeds}`, args: [file], env })
      }
    }
  }
  if (isWanted('variants')) {
    for (const file of ['test/e2e/cluster/known-wrong.cluster', 'test/integration/log/kafka-leader-move.faults']) {
      all.push({ name: `variants, ${file}`, args: [`${file}.test.ts`], env: {} })
    }
  }
  return all
}

function isWanted(name: string): boolean {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[ ,-]+/g, ' ')
  return plain(name).includes(plain(values.only))
}

/** Resolves with whether the job's tests passed. */
async function run({ name, args, env }: Job, lane: number): Promise<boolean> {
  const log = createWriteStream(join(out, `${name.replace(/[^\w.-]+/g, '-')}.log`))
  const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'vitest.faults.config.ts', ...args]
  const child = spawn(process.execPath, vitest, {
    cwd: root,
    env: { ...process.env, ...env, SLUICE_FAULT_RESULTS: resultFile, SLUICE_LANE: String(lane) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  await once(child, 'close')
  log.end()
  process.stdout.write(`${new Date().toISOString()} ${child.exitCode === 0 ? 'passed' : 'FAILED'}: ${name}\n`)
  return child.exitCode === 0
}

function results(): Result[] {
  if (!existsSync(resultFile)) return []
  const lines = readFileSync(resultFile, 'utf8').trim().split('\n')
  return lines.map((line) => JSON.parse(line) as Result)
}

/** What ran before into the same folder counts, too: what failed can be repeated by itself. */
function writeTable(failed: readonly string[]): void {
  const variants = tableOf(results(), true)
  const failures = failed.length === 0 ? '' : `\nFailed:\n\n${failed.map((name) => `- ${name}`).join('\n')}\n`
  writeFileSync(
    tableFile,
    `${tableOf(results())}\n\nKnown-wrong variants, which must lose:\n\n${variants}\n${failures}`,
  )
}

async function main(): Promise<void> {
  mkdirSync(out, { recursive: true })
  const queue = jobs()
  const failed: string[] = []
  if (queue.length === 0) throw new Error(`no part's name holds "${values.only}": see --help`)
  process.stdout.write(`${queue.length} runs in ${values.lanes} lanes; logs and the table are in ${out}\n`)
  const left = queue.values()
  const work = async (lane: number): Promise<void> => {
    for (const job of left) {
      if (!(await run(job, lane))) failed.push(job.name)
      writeTable(failed)
    }
  }
  await Promise.all(Array.from({ length: Number(values.lanes) }, (_, lane) => work(lane)))
  process.stdout.write(`\n${readFileSync(tableFile, 'utf8')}`)
  process.exitCode = failed.length === 0 ? 0 : 1
}

if (values.help) process.stdout.write(HELP)
else await main()
