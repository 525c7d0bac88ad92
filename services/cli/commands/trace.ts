import { parseDeviceName, parseDuration, wholeNumber, type DeviceName } from '../argument-parsers.ts'
import { faultText, reasonText } from '../fault-text.ts'
import { jsonLine, type Commands, type Session } from '../session.ts'
import { pause } from '../../../shared/backoff.ts'
import { devicePath } from '../../../shared/api-client.ts'
import type { Fault } from '../../../shared/faults.ts'
import { printable } from '../../../shared/printable.ts'

interface PointAnswer {
  readonly element: number
  readonly device?: string
  readonly stream: string
  readonly field: string
  readonly time: string
  readonly value: unknown
  readonly end: string
  readonly inPlace?: unknown
  readonly storedAt?: string
}

interface MessageAnswer {
  readonly receivedAt: string
  /** Undefined where the server is of an earlier version. */
  readonly partition?: number
  readonly offset: number
  readonly topic: string | null
  readonly headers: Readonly<Record<string, string>>
  /** Undefined where the server is of an earlier version. */
  readonly decoder?: string | null
  readonly watch?: WatchAnswer
  readonly payloadBytes: number
  readonly ends: Readonly<Record<string, number>>
  readonly points: readonly PointAnswer[]
  readonly faults: readonly Fault[]
  readonly warnings: readonly Fault[]
  readonly letter: string | null
}

interface WatchAnswer {
  readonly node: string
  readonly qos: number
  readonly dup: boolean
  readonly appending?: string
  readonly read?: string
  readonly decoded?: string
  readonly stored?: string
}

interface RefusalAnswer {
  readonly id: string
  readonly receivedAt: string
  readonly stage: string
  readonly topic: string | null
  readonly code: string
  readonly detail: string
}

interface TraceAnswer {
  readonly partition: number
  readonly committed: number
  readonly messages: readonly MessageAnswer[]
  readonly refusals: readonly RefusalAnswer[]
  readonly position: number
  readonly isEnd: boolean
}

interface TraceOptions {
  readonly since: number
  readonly limit: number
  readonly follow?: true
  readonly watch?: number | true
}

const PAGE_MESSAGES = 100
const FOLLOW_EVERY_MS = 1_000
/** How far back letters are looked for while following: what a slow worker, or another clock, may be late by. */
const FOLLOW_BACK_MS = 60_000
/** Refusals that were shown are remembered, so that they are shown once. */
const MAX_KNOWN_REFUSALS = 10_000
const DEFAULT_WATCH_MS = 600_000
/** Points of a message that are shown one by one where they are as they should be. */
const SHOWN_POINTS = 8

export function addTrace({ program, run }: Commands): void {
  program
    .command('trace')
    .description('what became of each message of a device: stored, superseded, refused, waiting')
    .argument('<tenant/device>', 'the device', parseDeviceName)
    .option('--since <duration>', 'received in this time until now', parseDuration, 600_000)
    .option('--limit <count>', 'messages to show', wholeNumber(1, 100_000), 100)
    .option('--follow', 'go on with what comes, until Ctrl-C')
    .option('--watch [duration]', 'put the device under watch first, 10m by default, 1h at most', parseDuration)
    .action(run(trace))
}

/** One line for each message and refusal, oldest first; with `--json` one object for each. */
async function trace(session: Session, device: DeviceName, options: TraceOptions): Promise<0 | 1> {
  const path = devicePath(device.tenant, device.device, '/trace')
  const since = Date.now() - options.since
  if (options.watch !== undefined) await watch(session, device, options.watch)
  const interruption = session.host.interruption()
  const known = new Set<string>()
  let [after, left]: [number | undefined, number] = [undefined, options.limit]
  let [partition, from]: [number | undefined, number] = [undefined, since]
  for (;;) {
    const query = { from, after, partition, limit: Math.min(left, PAGE_MESSAGES) }
    const answer: TraceAnswer = await session.api.get<TraceAnswer>(path, query)
    // What waits is shown when it has its end, in its order.
    const open = options.follow === true ? answer.messages.findIndex(({ ends }) => 'waiting' in ends) : -1
    const messages = open < 0 ? answer.messages : answer.messages.slice(0, open)
    show(session, messages, newRefusals(answer.refusals, known))
    const held = answer.messages[open]
    after = held?.offset ?? answer.position
    partition = held?.partition ?? answer.partition
    left -= messages.length
    if (left <= 0) break
    if (answer.isEnd || open >= 0) {
      if (options.follow !== true || interruption.aborted) break
      // What is behind the messages that were shown is known; letters of those that wait are found by these.
      if (answer.isEnd) from = Math.max(since, Date.now() - FOLLOW_BACK_MS)
      await pause(FOLLOW_EVERY_MS, interruption)
      if (interruption.aborted) return 0
    }
  }
  if (after !== undefined && left === options.limit && known.size === 0 && !session.json) {
    session.note(`sluice: nothing was received from ${device.tenant}/${device.device} in this time`)
  }
  return 0
}

async function watch(session: Session, { tenant, device }: DeviceName, forMs: number | true): Promise<void> {
  const seconds = Math.ceil((forMs === true ? DEFAULT_WATCH_MS : forMs) / 1000)
  const path = devicePath(tenant, device, '/watch')
  const { until } = await session.api.post<{ readonly until: string }>(path, { seconds })
  session.note(`sluice: ${tenant}/${device} is under watch until ${until}`)
}

function newRefusals(refusals: readonly RefusalAnswer[], known: Set<string>): RefusalAnswer[] {
  const fresh = refusals.filter(({ id }) => !known.has(id)).toReversed()
  for (const { id } of fresh) known.add(id)
  for (const oldest of known) {
    if (known.size <= MAX_KNOWN_REFUSALS) break
    known.delete(oldest)
  }
  return fresh
}

function show(session: Session, messages: readonly MessageAnswer[], refusals: readonly RefusalAnswer[]): void {
  const lines = [
    ...messages.map((one) => ({ at: one.receivedAt, text: () => messageText(one, session), one: { message: one } })),
    ...refusals.map((one) => ({ at: one.receivedAt, text: () => refusalText(one, session), one: { refusal: one } })),
  ].sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
  for (const { text, one } of lines) session.host.stdout(session.json ? jsonLine(one) : `${text()}\n`)
}

function messageText(message: MessageAnswer, { color }: Session): string {
  const { receivedAt, partition, offset, topic, headers, decoder, watch, ends, points, faults, warnings } = message
  const counts = Object.entries(ends).map(([end, count]) => `${count} ${end}`)
  const isWell = Object.keys(ends).every((end) => end === 'stored' || end === 'merged')
  const summary = counts.length === 0 ? 'nothing in it' : counts.join(', ')
  const way = ['login', 'qos', 'dup', 'retain', 'from', 'replay'].flatMap((name) =>
    headers[name] === undefined ? [] : `${name}=${headers[name]}`,
  )
  const head = [
    color.dim(receivedAt),
    `${partition === undefined ? '' : `partition ${partition} `}offset ${offset}`,
    topic === null ? [] : printable(topic),
    printable(decoder ?? ''),
    printable(way.join(' ')),
  ]
  const odd = points.filter(({ end }) => end !== 'stored' && end !== 'merged')
  const shown = [...odd, ...points.filter((point) => !odd.includes(point)).slice(0, SHOWN_POINTS)]
  return [
    `${head
      .flat()
      .filter((text) => text !== '')
      .join(' ')}: ${isWell ? color.green(summary) : color.red(summary)}`,
    ...(watch === undefined ? [] : [`  ${printable(watchText(watch, receivedAt))}`]),
    ...shown.map((point) => `  ${printable(pointText(point))}`),
    ...[...faults, ...warnings].map((fault) => `  ${printable(faultText(fault))}`),
  ].join('\n')
}

/** How it came, and how long after it was received it passed each stage. */
function watchText({ node, qos, dup, ...times }: WatchAnswer, receivedAt: string): string {
  const received = Date.parse(receivedAt)
  const stages = (['appending', 'read', 'decoded', 'stored'] as const).flatMap((name) => {
    const at = times[name]
    return at === undefined ? [] : `${name} +${Date.parse(at) - received} ms`
  })
  return [`taken by ${node} with QoS ${qos}${dup ? ', DUP' : ''}`, ...stages].join(', ')
}

function pointText({ element, device, stream, field, time, value, end, inPlace, storedAt }: PointAnswer): string {
  const where = [device ?? [], stream === 'telemetry' ? [] : stream, element === 0 ? [] : `[${element}]`].flat()
  const now = inPlace === undefined ? '' : `, which has ${JSON.stringify(inPlace)} now`
  const moved = storedAt === undefined ? '' : ` as ${storedAt}`
  return `${[...where, `${field}=${JSON.stringify(value)}`].join(' ')} at ${time}: ${end}${moved}${now}`
}

function refusalText({ receivedAt, stage, topic, code, detail }: RefusalAnswer, { color }: Session): string {
  const what = stage === 'connect' ? 'connection' : `message${topic === null ? '' : ` to ${topic}`}`
  return `${color.dim(receivedAt)} ${color.red(`${what} refused`)}: ${printable(reasonText(code, detail))}`
}
