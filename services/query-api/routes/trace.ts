import Type, { type Static } from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import { formatInstant } from '../../../shared/telemetry.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import type { Api, ApiParts } from '../api.ts'
import { goneSignal } from '../gone.ts'
import {
  FaultView,
  letterId,
  LetterView,
  ReceiveClockView,
  viewClock,
  viewLetter,
  viewPayload,
} from '../letter-view.ts'
import { WATCH_HEADER, watchedOf } from '../../../shared/watch.ts'
import { jsonValue } from '../live-events.ts'
import { problemResponses } from '../problem.ts'
import { parseTime, rfc3339, Value } from '../time.ts'
import { ENDS, type TracedPoint } from '../trace/ends.ts'
import { trace, type Trace } from '../trace/trace.ts'
import { DeviceParams } from './devices.ts'

/** Points of a message, and bytes of its payload, that are shown. */
const SHOWN_POINTS = 100
const SHOWN_BYTES = 1024
const DEFAULT_SPAN_MS = 600_000

const Query = Type.Object(
  {
    from: Type.Optional(
      Type.String({ description: 'Received then or later: RFC 3339 or milliseconds since 1970; ten minutes ago.' }),
    ),
    to: Type.Optional(Type.String({ description: 'Received before.' })),
    after: Type.Optional(
      Type.Integer({ minimum: 0, description: 'The position of an earlier answer: what lies in the log behind it.' }),
    ),
    partition: Type.Optional(Type.Integer({ minimum: 0, description: 'Of the position: that of the same answer.' })),
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Messages.' }),
  },
  { additionalProperties: false },
)

const PointView = Type.Object({
  element: Type.Integer({ description: 'Index of the reading in the payload.' }),
  device: Type.Optional(Type.String({ description: 'Where the reading is of another device.' })),
  stream: Type.String(),
  field: Type.String(),
  kind: Type.String(),
  time: Type.String({ format: 'date-time' }),
  value: Value,
  end: Type.Enum([...ENDS], {
    description:
      'stored; merged: stored, and an earlier message said the same; superseded: another message had another value for ' +
      'the same place; deleted; waiting: in the log, and not stored yet; absent: no longer in the store (retention).',
  }),
  inPlace: Type.Optional(Value),
  storedAt: Type.Optional(
    Type.String({ format: 'date-time', description: 'By the policy same_time, or the order of local times.' }),
  ),
})

const At = Type.Optional(Type.String({ format: 'date-time' }))
const WatchView = Type.Object(
  {
    node: Type.String({ description: 'The broker that took it.' }),
    qos: Type.Integer(),
    dup: Type.Boolean({ description: 'The client said that it may have sent it before.' }),
    appending: At,
    read: At,
    decoded: At,
    stored: At,
  },
  { description: 'Of a message that came while its device was under watch: how, and when it passed each stage.' },
)

const MessageView = Type.Object({
  receivedAt: Type.String({ format: 'date-time' }),
  clock: ReceiveClockView,
  partition: Type.Integer(),
  offset: Type.Integer(),
  topic: Type.Union([Type.String(), Type.Null()], { description: 'Null: the default stream of the device.' }),
  headers: Type.Record(Type.String(), Type.String(), {
    description: 'login, qos (0 or 2; else 1), dup, retain, rv (policies), from (handed on by another record), replay.',
  }),
  decoder: Type.Union([Type.String(), Type.Null()], {
    description: 'The decoder of its policy; behind auto what the payload is. Null: none, it names no device.',
  }),
  watch: Type.Optional(WatchView),
  payload: Type.Optional(Type.String({ description: 'The first KiB, if it is UTF-8.' })),
  payloadBase64: Type.Optional(Type.String()),
  payloadBytes: Type.Integer(),
  ends: Type.Record(Type.String(), Type.Integer(), { description: 'Points by what became of them, and faults.' }),
  points: Type.Array(PointView, { description: 'The first hundred.' }),
  faults: Type.Array(FaultView, { description: 'What was refused of it; the first hundred.' }),
  warnings: Type.Array(FaultView, { description: 'What is doubtful of what was stored.' }),
  letter: Type.Union([Type.String(), Type.Null()], { description: 'Id of its dead letter.' }),
})

const Answer = Type.Object({
  partition: Type.Integer({ description: 'Of the position: it changes where the log was given more partitions.' }),
  committed: Type.Integer({ description: 'Offset below which everything is stored, or told in a letter.' }),
  messages: Type.Array(MessageView, { description: 'In the order of the log.' }),
  refusals: Type.Array(LetterView, {
    description: 'Connections and messages that were turned away before the log, newest first.',
  }),
  position: Type.Integer({ description: 'To go on, as after.' }),
  isEnd: Type.Boolean({ description: 'False: more lies behind the position already.' }),
})

export function traceRoute(app: Api, options: ApiParts<'log' | 'points' | 'registry' | 'uploaded' | 'cache'>): void {
  app.get(
    '/devices/:tenant/:device/trace',
    {
      schema: {
        tags: ['readings'],
        summary: 'What became of each message of a device',
        description:
          'Read from log, store and dead letters when it is asked for. A device that nobody made has no messages, and may ' +
          'have refusals. One response looks at 200,000 records of the partition at most: it may have few messages, and ' +
          'a position to go on from.',
        params: DeviceParams,
        querystring: Query,
        response: { 200: Answer, ...problemResponses },
      },
    },
    async ({ params, query }, reply) => {
      const { tenant, device } = params
      const { limit, partition } = query
      const fromMs = query.from === undefined ? Date.now() - DEFAULT_SPAN_MS : parseTime('from', query.from).ms
      const toMs = query.to === undefined ? Infinity : parseTime('to', query.to).ms
      if (fromMs > toMs) throw new SluiceError('bad_request', 'parameter "from" is later than "to"')
      const from = query.after === undefined ? { ms: fromMs } : { offset: query.after }
      const found = await trace(options, { tenant, device, fromMs, toMs, from, limit, partition }, goneSignal(reply))
      return viewTrace(found, device, options.registry.names)
    },
  )
}

function viewTrace(found: Trace, device: string, names: Registry['names']): Static<typeof Answer> {
  const { partition, committed, messages, refusals, position, isEnd } = found
  return {
    ...{ partition, committed, position, isEnd },
    messages: messages.map((message) => viewMessage(message, device)),
    refusals: refusals.map((one) => viewLetter(one, names)),
  }
}

function viewMessage(message: Trace['messages'][number], device: string): Static<typeof MessageView> {
  const { partition, offset, record, decoder, points, faults, faultCount, warnings, letter } = message
  const { topic, [WATCH_HEADER]: _watch, ...headers } = record.headers ?? {}
  const ends: Record<string, number> = {}
  for (const { end } of points) ends[end] = (ends[end] ?? 0) + 1
  if (faultCount > 0) ends['fault'] = faultCount
  return {
    receivedAt: formatInstant(record),
    ...viewClock(record),
    partition,
    offset,
    topic: topic ?? null,
    headers,
    decoder,
    ...viewWatch(message),
    ...viewPayload(record.value.subarray(0, SHOWN_BYTES), record.value.length),
    ends,
    points: points.slice(0, SHOWN_POINTS).map((point) => viewPoint(point, device)),
    faults: [...faults],
    warnings: [...warnings],
    letter: letter === undefined ? null : letterId(letter.letter, letter),
  }
}

function viewWatch({ record, stages }: Trace['messages'][number]): { watch?: Static<typeof WatchView> } {
  const watched = watchedOf(record)
  if (watched === undefined) return {}
  const { node, qos, isDup: dup, appendingMs } = watched
  const times = { appending: appendingMs, read: stages?.readMs, decoded: stages?.decodedMs, stored: stages?.storedMs }
  const known = Object.entries(times).flatMap(([name, ms]) => (ms === undefined ? [] : [[name, rfc3339(ms)]]))
  return { watch: { node, qos, dup, ...(Object.fromEntries(known) as Record<string, string>) } }
}

function viewPoint(point: TracedPoint, own: string): Static<typeof PointView> {
  const { element, device, stream, field, kind, time, value, end, inPlace, storedAt } = point
  return {
    element,
    ...(device === own ? {} : { device }),
    ...{ stream, field, kind, time: formatInstant(time), value: jsonValue(value), end },
    ...(inPlace === undefined ? {} : { inPlace: jsonValue(inPlace) }),
    ...(storedAt === undefined ? {} : { storedAt: formatInstant(storedAt) }),
  }
}
