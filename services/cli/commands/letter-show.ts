import { closeSync, openSync, writeSync } from 'node:fs'
import type { Command } from 'commander'
import { ERRORS, isErrorCode, SluiceError } from '../../../shared/errors.ts'
import type { Fault } from '../../../shared/faults.ts'
import { printable } from '../../../shared/printable.ts'
import { textTable } from '../../../shared/text-table.ts'
import type { Commands, Session } from '../session.ts'

/** What was done about a letter last. */
export interface LetterDone {
  readonly state: string
  readonly tries: number
  readonly who: string
  readonly job: number
}

/** A dead letter with its whole payload, as the API answers. */
export interface WholeLetterAnswer {
  readonly id: string
  readonly kind: string
  readonly stage: string
  readonly faults: readonly Fault[]
  readonly faultCount: number
  readonly replayable: boolean
  readonly who: string
  readonly topic: string | null
  readonly headers?: Readonly<Record<string, string>>
  readonly time: string
  readonly receivedAt: string
  readonly clock?: string
  readonly source: { readonly log: string; readonly partition: number; readonly offset: number } | null
  readonly payload?: string
  readonly payloadBase64?: string
  readonly payloadBytes: number
  readonly payloadIsWhole: boolean
  readonly done: LetterDone | null
}

const DUMP_WIDTH = 16

export function addLetterShow(letters: Command, run: Commands['run']): void {
  letters
    .command('show')
    .description('one dead letter with all that was kept of it, and what to do')
    .argument('<id>', 'its id, as the list has it')
    .option('--payload <file>', 'write the payload, byte by byte, to a file that does not exist yet')
    .action(run(showLetter))
}

async function showLetter(session: Session, id: string, { payload }: { readonly payload?: string }): Promise<void> {
  const letter = await session.api.get<WholeLetterAnswer>(`/v1/dead-letters/${encodeURIComponent(id)}`)
  if (payload !== undefined) {
    writeNew(payload, payloadOf(letter))
    session.note(`Wrote ${letter.payloadBytes} bytes to ${payload}.`)
    return
  }
  session.result(letter, () => letterText(letter))
}

/** The bytes that the device sent, as far as they were kept. */
export function payloadOf({ payload, payloadBase64 = '' }: WholeLetterAnswer): Buffer {
  return payload === undefined ? Buffer.from(payloadBase64, 'base64') : Buffer.from(payload)
}

/** `wx`: it must not exist; `a`: what is written comes behind what it has. Error: `bad_request`. */
export function openOutput(path: string, flags: 'wx' | 'a'): number {
  try {
    return openSync(path, flags, 0o600)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new SluiceError('bad_request', `cannot write to ${path}: ${message}`, { cause: error })
  }
}

function writeNew(path: string, bytes: Uint8Array): void {
  const file = openOutput(path, 'wx')
  try {
    writeAll(file, bytes)
  } finally {
    closeSync(file)
  }
}

export function writeAll(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written)
}

function letterText(letter: WholeLetterAnswer): string {
  const { id, kind, stage, faults, faultCount, replayable, who, topic, headers = {}, source, done } = letter
  const said = Object.entries(headers).map(([name, value]) => `${name}=${value}`)
  const clock = letter.clock === undefined ? '' : `, by a clock that was ${letter.clock}`
  const place = source === null ? [] : [`${source.log}, partition ${source.partition}, offset ${source.offset}`]
  const rows = [
    ['id', id],
    ['what', `${kind}, found at ${stage}`],
    ['who', who],
    ...(topic === null ? [] : [['topic', topic]]),
    ...(said.length === 0 ? [] : [['headers', said.join(', ')]]),
    ['received', `${letter.receivedAt}${clock}`],
    ['failed', letter.time],
    ...place.map((text) => ['record', text]),
    ['done', done === null ? 'nothing' : `${describeDone(done)}, job ${done.job} by ${done.who}`],
  ]
  const codes = [...new Set(faults.map(({ code }) => code))].filter(isErrorCode)
  const more = faultCount - faults.length
  return [
    textTable(['letter', ''], rows),
    '',
    textTable(
      ['where', 'code', 'detail'],
      faults.map((fault) => [placeOf(fault), fault.code, fault.detail]),
    ),
    ...(more === 0 ? [] : [`and ${more} more`]),
    '',
    ...payloadLines(letter),
    '',
    'What to do:',
    ...codes.map((code) => `  ${code}: ${ERRORS[code].fix}`),
    ...(replayable ? [`  Once that is mended: ./sluice dead-letters replay --id ${printable(id)} --dry-run`] : []),
  ].join('\n')
}

/** Each line has a bar in front: no payload passes for words of ours. */
function payloadLines(letter: WholeLetterAnswer): string[] {
  const { payload, payloadBytes, payloadIsWhole } = letter
  const what = payloadIsWhole ? 'payload' : 'the beginning of the payload, all that was kept'
  if (payloadBytes === 0) return [`${what}: no bytes`]
  const lines = payload === undefined ? hexDump(payloadOf(letter)) : payload.split('\n').map(printable)
  return [
    `${what}, ${payloadBytes} bytes${payload === undefined ? ', no text' : ''}:`,
    ...lines.map((line) => `| ${line}`),
  ]
}

/** As `hexdump -C` shows it. */
function hexDump(bytes: Uint8Array): string[] {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += DUMP_WIDTH) {
    const part = [...bytes.subarray(at, at + DUMP_WIDTH)]
    const hex = part.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex.padEnd(3 * DUMP_WIDTH - 1)}  ${text}`)
  }
  return lines
}

/** `faulty (2)`: after two replays. */
export function describeDone(done: LetterDone | null | undefined): string {
  if (done === null || done === undefined) return ''
  return done.tries === 0 ? done.state : `${done.state} (${done.tries})`
}

/** `[3] motor.speed`: the field of the fourth reading; empty for the message as a whole. */
export function placeOf({ element, path }: Fault): string {
  return [element === null ? [] : `[${element}]`, path ?? []].flat().join(' ')
}
