import { readFileSync } from 'node:fs'
import { InvalidArgumentError, Option } from 'commander'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import { parseDuration, parseHostPort, parseName, parseRate, wholeNumber } from '../argument-parsers.ts'
import { csvWorkload, isTimeZone } from '../../simulator/csv-workload.ts'
import type { QoS } from '../../../shared/mqtt/client-packets.ts'
import { ProgressLine } from '../progress-line.ts'
import type { Commands, Session } from '../session.ts'
import { reportText } from '../../simulator/simulation-report.ts'
import { simulate, type SimulationProgress } from '../../simulator/simulation.ts'
import { generatedWorkload, stepOf, type Workload } from '../../simulator/workload.ts'

interface SimulateOptions {
  readonly devices: number
  readonly rate?: number
  readonly duration?: number
  readonly qos: QoS
  readonly inflight: number
  readonly verify?: boolean
  readonly from?: string
  readonly timeColumn: string
  readonly timeZone?: string
  readonly tenant: string
  readonly seed: number
  readonly keep?: boolean
  readonly mqtt?: { host: string; port: number }
  readonly patience: number
}

const DEFAULT_RATE = 100
const DEFAULT_DURATION_MS = 10_000

export function addSimulate({ program, run }: Commands): void {
  program
    .command('simulate')
    .description(
      'send readings from simulated devices over MQTT, and verify that every acknowledged one can be queried',
    )
    .option('--devices <count>', 'number of devices, each with its own connection', wholeNumber(1, 60_000), 10)
    .option(
      '--rate <per second>',
      'readings per second of all devices together, 0 = as fast as possible (default: 100; with a file: 0)',
      parseRate,
    )
    .option(
      '--duration <time>',
      'how long to send, like 30s or 5m (default: 10s; with a file: to its end)',
      parseDuration,
    )
    .addOption(new Option('--qos <level>', 'MQTT QoS').argParser(parseQoS).default(1, '1'))
    .option('--inflight <count>', 'messages in flight per device', wholeNumber(1, 65_535), 16)
    .option('--verify', 'verify at the end that each acknowledged reading is stored once, with its values')
    .option('--from <file>', 'send the rows of a CSV file instead of generated readings')
    .option('--time-column <name>', 'column of the file with the time', 'time')
    .option('--time-zone <zone>', 'zone of times without one in the file, Z or +hh:mm (default: Z)', parseZoneOption)
    .option('--tenant <name>', 'tenant of the devices', parseName, 'sim')
    .option('--seed <number>', 'the same seed generates the same values', wholeNumber(0, 2 ** 32 - 1), 1)
    .option('--keep', 'keep the devices after the run')
    .option('--mqtt <host:port>', 'broker to send to (default: the one that the API names)', parseHostPort)
    .addOption(
      new Option('--patience <time>', 'how long to wait without progress for acknowledgements and readings')
        .argParser(parseDuration)
        .default(30_000, '30s'),
    )
    .action(run(runSimulate))
}

async function runSimulate(session: Session, options: SimulateOptions): Promise<0 | 1> {
  const { api } = session
  const rate = options.rate ?? (options.from === undefined ? DEFAULT_RATE : 0)
  const workload = workloadOf(session, options, rate)
  const progress = new ProgressLine(session.host)
  const report = await simulate(
    {
      mqtt: options.mqtt ?? (await brokerAddress(session)),
      tenant: options.tenant,
      prefix: `sim-${Date.now().toString(36)}`,
      devices: options.devices,
      rate,
      durationMs: options.duration ?? (options.from === undefined ? DEFAULT_DURATION_MS : Infinity),
      qos: options.qos,
      inflight: options.inflight,
      verify: options.verify === true,
      patienceMs: options.patience,
      keep: options.keep === true,
    },
    {
      api,
      workload,
      interruption: session.host.interruption(),
      onProgress: progressTo(progress, options.devices),
    },
  ).finally(() => progress.end())
  session.result(report, () => reportText(report))
  return report.ok ? 0 : 1
}

function workloadOf(session: Session, options: SimulateOptions, rate: number): Workload {
  if (options.from === undefined) {
    const { seed, devices } = options
    return generatedWorkload({ seed, startMs: Date.now(), stepUs: stepOf(rate, devices) })
  }
  const workload = csvWorkload(readFile(options.from), { timeColumn: options.timeColumn, timeZone: options.timeZone })
  if (workload.zoneAssumed) {
    session.note(
      `The times in ${options.from} have no zone and are sent as UTC; use --time-zone -08:00, for example, to change that.`,
    )
  }
  if (workload.emptyRows > 0) session.note(`${workload.emptyRows} rows without a value are skipped.`)
  return workload
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new SluiceError('command_failed', `cannot read ${path}: ${toSluiceError(error).message}`, { cause: error })
  }
}

/** A broker that listens on every address is reached where its API was. */
async function brokerAddress({ api }: Session): Promise<{ host: string; port: number }> {
  const { mqtt } = await api.get<{ mqtt: { host: string; port: number } }>('/v1/status')
  const everywhere = ['0.0.0.0', '::'].includes(mqtt.host)
  return everywhere ? { host: api.url.hostname.replace(/^\[|\]$/g, ''), port: mqtt.port } : mqtt
}

function parseQoS(text: string): QoS {
  if (text === '0') return 0
  if (text === '1') return 1
  if (text === '2') return 2
  throw new InvalidArgumentError('Write 0, 1 or 2.')
}

function parseZoneOption(text: string): string {
  if (!isTimeZone(text)) throw new InvalidArgumentError('Write Z or an offset like +01:00.')
  return text
}

/** The moment when the sending begins is shown at once: whoever watches from outside may wait for it. */
function progressTo(line: ProgressLine, devices: number): (progress: SimulationProgress) => void {
  let phase: SimulationProgress['phase'] | undefined
  return (progress) => {
    const begins = progress.phase === 'send' && phase !== 'send'
    phase = progress.phase
    line.show(() => progressText(progress, devices), begins)
  }
}

function progressText({ phase, stats, p99Ms, ratePerSecond, verified }: SimulationProgress, devices: number): string {
  if (phase === 'verify') return `verify: ${verified ?? 0} of ${devices} devices`
  if (stats === undefined) return `${phase}: ${devices} devices`
  const { sent, acknowledged, online } = stats
  const speed = `${Math.round(ratePerSecond ?? 0)}/s, p99 ${(p99Ms ?? 0).toFixed(1)} ms`
  return `${phase}: sent ${sent}, acked ${acknowledged}, ${speed}, online ${online} of ${devices}`
}
