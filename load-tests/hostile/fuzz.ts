import { setTimeout as delay } from 'node:timers/promises'
import { registerFleet } from '../../services/simulator/fleet.ts'
import { eachAtOnce } from '../storms/storm-client.ts'
import { startStormService, type StormService } from '../storms/storm-service.ts'
import { play, type Outcome } from './fuzz-client.ts'
import { hostileConnection, randomFrom, vocabularyOf, type Door, type FuzzLogin, type Vocabulary } from './mutations.ts'
import { Witness } from './witness.ts'

export interface FuzzOptions {
  readonly connections: number
  readonly seed: number
  /** Connections at the same time. */
  readonly atOnce: number
}

export interface FuzzFigures extends FuzzOptions {
  readonly seconds: number
  readonly perSecond: number
  readonly outcomes: Readonly<Record<Outcome, number>>
  /** Packets that broke the specification, as the broker counted them. */
  readonly violations: number
  /** Connections that were let in over WebSocket. */
  readonly webSockets: number
  /** Of the process at the end, asked to stop: 0 unless it crashed. */
  readonly exitCode: number
  /** Errors in the log, and lines that are not of the log: what Node says of what nobody caught. */
  readonly complaints: readonly string[]
  readonly witness: { readonly sent: number; readonly acknowledged: number; readonly slowestMs: number }
  /** What the broker says is there when all hostile connections have gone. */
  readonly left: Left
  /** Resident memory without garbage, in bytes. */
  readonly memoryBefore: number
  /** When half of the rest had come. */
  readonly memoryMiddle: number
  readonly memoryAfter: number
}

interface Left {
  readonly connections: number
  readonly principals: number
  readonly inFlight: number
  readonly heldBytes: number
  /** PUBLISH that were received and not acked, refused or abandoned. */
  readonly unaccounted: number
}

/** The witness is there and nothing else. */
export const ALONE: Left = { connections: 1, principals: 1, inFlight: 0, heldBytes: 0, unaccounted: 0 }

/** Ends the process with code 7 and a trace, even where somebody would have listened. */
const FLAGS = ['--unhandled-rejections=strict', '--trace-uncaught']
const DEVICES = 64
/** Few, so that hostile connections also take each other's sessions. */
const CLIENT_IDS = 3
/** So much of the connections comes before memory is first looked at: what a first one loads stays. */
const WARM_UP_SHARE = 0.1
/** For connections that have ended to be forgotten. */
const PATIENCE_MS = 20_000
const KEPT_COMPLAINTS = 20

/** Hostile connections against a real process, beside a device that publishes all the time. */
export async function fuzz(options: FuzzOptions, note: (text: string) => void): Promise<FuzzFigures> {
  const complaints: string[] = []
  const onLine = (line: string): void => {
    if (isComplaint(line) && complaints.length < KEPT_COMPLAINTS) complaints.push(line)
  }
  const service = await startStormService({}, { collects: true, flags: FLAGS, onLine })
  let isStopped = false
  try {
    const devices = await registerFleet(service.api, { tenant: 'fuzz', prefix: 'd', count: DEVICES + 1 })
    const [own, ...others] = devices.map(({ secret = '', ...device }): FuzzLogin => ({ ...device, secret }))
    if (own === undefined) throw new Error('no device was made')
    const witness = await Witness.start(service.mqttPort, own)
    const run = new Run(service, vocabularies(others), options)
    const warmUp = Math.floor(options.connections * WARM_UP_SHARE)
    await run.go(warmUp)
    await settled(service)
    const memoryBefore = await service.settledBytes()
    note(`${warmUp} connections to warm up, ${run.perSecond} a second`)
    const half = Math.floor((options.connections - warmUp) / 2)
    await run.go(half)
    await settled(service)
    const memoryMiddle = await service.settledBytes()
    note(`${warmUp + half} connections, ${run.perSecond} a second`)
    await run.go(options.connections - warmUp - half)
    note(`${options.connections} connections, ${run.perSecond} a second`)
    await witness.stop()
    const left = await settled(service)
    const violations = await metric(service, 'sluice_broker_violations_total')
    const webSockets = await metric(service, 'sluice_broker_connections_accepted_total', 'listener="ws"')
    const memoryAfter = await service.settledBytes()
    const { sent, acknowledged, slowestMs } = witness
    witness.close()
    isStopped = true
    return {
      ...options,
      ...{ seconds: Number(run.seconds.toFixed(1)), perSecond: run.perSecond, outcomes: run.outcomes },
      ...{ violations, webSockets },
      ...{ exitCode: await service.stop(), complaints, left, memoryBefore, memoryMiddle, memoryAfter },
      witness: { sent, acknowledged, slowestMs: Math.round(slowestMs) },
    }
  } catch (error) {
    // Without its last words nobody knows why the broker did not answer.
    isStopped = true
    const code = await service.stop()
    throw new Error(`the broker ended with ${code}: ${complaints.join('\n')}`, { cause: error })
  } finally {
    if (!isStopped) await service.stop()
  }
}

/** The hostile connections, in their order. */
class Run {
  readonly outcomes: Record<Outcome, number> = { 'answered and closed': 0, closed: 0, left: 0, stuck: 0 }
  seconds = 0
  readonly #ports: Readonly<Record<Door, number>>
  readonly #vocabularies: readonly Vocabulary[]
  readonly #options: FuzzOptions
  #next = 0

  constructor(service: StormService, known: readonly Vocabulary[], options: FuzzOptions) {
    this.#ports = { mqtt: service.mqttPort, tls: service.tlsPort, ws: service.wsPort }
    this.#vocabularies = known
    this.#options = options
  }

  get perSecond(): number {
    return this.seconds === 0 ? 0 : Math.round(this.#next / this.seconds)
  }

  async go(count: number): Promise<void> {
    const startedAt = performance.now()
    const numbers = Array.from({ length: count }, (_, index) => this.#next + index)
    await eachAtOnce(numbers, this.#options.atOnce, async (number) => {
      // A seed for each, so that its bytes do not depend on which one was faster.
      const random = randomFrom(this.#options.seed * 1_000_003 + number)
      const vocabulary = this.#vocabularies[Math.floor(random() * this.#vocabularies.length)]
      if (vocabulary === undefined) return
      this.outcomes[await play(hostileConnection(random, vocabulary), this.#ports)] += 1
    })
    this.#next += count
    this.seconds += (performance.now() - startedAt) / 1000
  }
}

function vocabularies(logins: readonly FuzzLogin[]): Vocabulary[] {
  const ids = Array.from({ length: CLIENT_IDS }, (_, index) => `client-${index}`)
  return logins.flatMap((login) =>
    ids.flatMap((id) => ([4, 5] as const).map((version) => vocabularyOf(version, login, id))),
  )
}

/** An error in the log, or a line that is not of it. */
export function isComplaint(line: string): boolean {
  if (line.trim() === '') return false
  if (!line.startsWith('{')) return true
  const { level } = JSON.parse(line) as { level?: string }
  return level === 'error' || level === 'fatal'
}

/** What is left when the connections have gone, or all the same after some time. */
async function settled(service: StormService): Promise<Left> {
  const until = Date.now() + PATIENCE_MS
  for (;;) {
    const left = await leftOf(service)
    const isAlone = left.connections === ALONE.connections && left.principals === ALONE.principals
    if (isAlone || Date.now() > until) return left
    await delay(250)
  }
}

async function leftOf(service: StormService): Promise<Left> {
  const of = (name: string): Promise<number> => metric(service, `sluice_broker_${name}`)
  const ended = ['acked', 'refused', 'abandoned'].map((name) => of(`publishes_${name}_total`))
  const inFlight = await of('in_flight')
  const received = await of('publishes_received_total')
  return {
    connections: await of('connections'),
    principals: await of('principals'),
    heldBytes: await of('held_bytes'),
    inFlight,
    unaccounted: received - (await Promise.all(ended)).reduce((sum, value) => sum + value, 0) - inFlight,
  }
}

/** The sum over all labels, or over those with this one. */
async function metric({ api }: StormService, name: string, label = ''): Promise<number> {
  const { body } = await api.probe('/metrics')
  const lines = String(body)
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || (line.startsWith(`${name}{`) && line.includes(label)))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
