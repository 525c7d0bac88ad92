import Type, { type Static } from 'typebox'
import {
  DEAD_LETTER_STAGES,
  faultsOf,
  isReplayable,
  KEPT_PAYLOAD_BYTES,
  kindOf,
  LETTER_KINDS,
  type DeadLetter,
} from '../../shared/dead-letter.ts'
import { ERRORS } from '../../shared/errors.ts'
import type { DeviceNames } from '../../shared/registry/names-port.ts'
import { UNSYNCHRONISED } from '../../shared/stamps/scheme.ts'
import { formatInstant, type StampScheme } from '../../shared/telemetry.ts'
import type { FoundLetter } from './letter-reader.ts'
import { shownOwner } from './owners.ts'

/** One thing that is wrong with a payload. */
export const FaultView = Type.Object({
  element: Type.Union([Type.Integer(), Type.Null()], {
    description: 'Index of the reading in the payload, 0 for a single one; null: the payload as a whole.',
  }),
  path: Type.Union([Type.String(), Type.Null()], {
    description:
      'The field, by the name under which it would be stored, nested names joined with "."; null: the reading.',
  }),
  code: Type.String({ description: 'A code of docs/errors.md.' }),
  detail: Type.String(),
})
export type FaultView = Static<typeof FaultView>

/** Present when the receive time may be wrong by anything. */
export const ReceiveClockView = Type.Optional(
  Type.Literal('unsynchronised', {
    description: 'Only where the clock of the receiving system was not known to be synchronised.',
  }),
)

/** In the views of what was received: nothing where the clock was right. */
export function viewClock({ scheme }: { readonly scheme?: StampScheme | undefined }): { clock?: 'unsynchronised' } {
  return scheme === UNSYNCHRONISED ? { clock: 'unsynchronised' } : {}
}

/** What was not stored of a record, a client or message that was turned away, or a warning, as people see it. */
export const LetterView = Type.Object({
  id: Type.String({ description: 'The same for every repetition from one source.' }),
  kind: Type.Enum([...LETTER_KINDS], {
    description:
      'fault: not all of a record was stored; refusal: turned away before the log; warning: nothing is missing.',
  }),
  stage: Type.Enum([...DEAD_LETTER_STAGES]),
  code: Type.String({ description: 'Of the first fault.' }),
  detail: Type.String({ description: 'Of the first fault.' }),
  fix: Type.String({ description: 'What to do about the first fault.' }),
  faults: Type.Array(FaultView, { description: 'The first hundred, in the order of the payload; at least one.' }),
  faultCount: Type.Integer({ description: 'All of them.' }),
  replayable: Type.Boolean({ description: 'The whole record is kept.' }),
  who: Type.String(),
  topic: Type.Union([Type.String(), Type.Null()]),
  headers: Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      description:
        'Of the record, where it has some: login (the application that published it), qos (0 or 2), dup, retain, others.',
    }),
  ),
  time: Type.String({ format: 'date-time', description: 'Time of the first failure.' }),
  receivedAt: Type.String({ format: 'date-time' }),
  clock: ReceiveClockView,
  source: Type.Union([
    Type.Object({ log: Type.String(), partition: Type.Integer(), offset: Type.Integer() }),
    Type.Null(),
  ]),
  payload: Type.Optional(Type.String({ description: 'The first 4 KiB, if they are UTF-8.' })),
  payloadBase64: Type.Optional(Type.String({ description: 'The first 4 KiB, if they are not UTF-8.' })),
  payloadBytes: Type.Integer({ description: 'Length of the payload that was kept.' }),
})
export type LetterView = Static<typeof LetterView>

/** The log of a letter that names none. */
const THIS_LOG = 'telemetry.raw'

export function viewLetter({ letter, payloadBytes, partition, offset }: FoundLetter, names: DeviceNames): LetterView {
  const { source, stage } = letter
  const faults = faultsOf(letter)
  return {
    id: letterId(letter, { partition, offset }),
    kind: kindOf(letter),
    stage,
    code: letter.code,
    detail: letter.detail,
    fix: ERRORS[letter.code].fix,
    faults: [...faults.first],
    faultCount: faults.total,
    replayable: isReplayable(letter),
    who: shownWho(letter, names),
    topic: letter.topic ?? null,
    ...(letter.headers === undefined ? {} : { headers: letter.headers }),
    time: formatInstant({ ms: letter.firstFailedMs, ns: 0 }),
    receivedAt: formatInstant(letter),
    ...viewClock(letter),
    source:
      source === undefined ? null : { log: letter.log ?? THIS_LOG, partition: source.partition, offset: source.offset },
    ...viewPayload(letter.payload, payloadBytes),
  }
}

/** {@link LetterView} with all of the payload that was kept. */
export const WholeLetterView = Type.Object({
  ...LetterView.properties,
  payload: Type.Optional(Type.String({ description: 'If it is UTF-8.' })),
  payloadBase64: Type.Optional(Type.String({ description: 'If it is not UTF-8.' })),
  payloadIsWhole: Type.Boolean({ description: 'False: only the first 4 KiB of what was sent were kept.' }),
})

/** With the whole payload. */
export function viewWholeLetter(
  { letter, partition, offset }: Pick<FoundLetter, 'letter' | 'partition' | 'offset'>,
  names: DeviceNames,
): Static<typeof WholeLetterView> {
  const { payload } = letter
  const isCut = letter.isCut === true || (kindOf(letter) !== 'fault' && payload.length >= KEPT_PAYLOAD_BYTES)
  const start = { ...letter, payload: payload.subarray(0, 0) }
  const {
    payload: _text,
    payloadBase64: _bytes,
    ...view
  } = viewLetter({ letter: start, payloadBytes: payload.length, partition, offset }, names)
  return { ...view, ...viewPayload(payload, payload.length, isCut), payloadIsWhole: !isCut }
}

/** The device or login that a letter is of, or the address. */
export function shownWho({ stage, key, topic, who }: DeadLetter, names: DeviceNames): string {
  return stage === 'decode' || stage === 'store' ? shownOwner(names, key, topic) : who
}

/** What tells a letter from others, wherever its copies lie. */
export function letterId(letter: DeadLetter, { partition, offset }: { partition: number; offset: number }): string {
  return sourceId(letter) ?? `refused/${partition}/${offset}`
}

/** The id of a letter; undefined for what was refused before the log. */
export function sourceId({ source, log = THIS_LOG }: DeadLetter): string | undefined {
  if (source === undefined) return undefined
  const id = `${log}/${source.partition}/${source.offset}`
  return source.element === undefined ? id : `${id}/${source.element}`
}

/**
 * A payload, or its beginning, as text where it is UTF-8. With `stream` a character that a cut went through is left out
 * instead of being an error.
 */
export function viewPayload(
  shown: Uint8Array,
  payloadBytes: number,
  stream = shown.length < payloadBytes || payloadBytes === KEPT_PAYLOAD_BYTES,
): Pick<LetterView, 'payload' | 'payloadBase64' | 'payloadBytes'> {
  try {
    return {
      payload: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(shown, { stream }),
      payloadBytes,
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return { payloadBase64: Buffer.from(shown).toString('base64'), payloadBytes }
  }
}
