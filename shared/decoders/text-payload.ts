import type { PayloadReadings } from './payload-readings.ts'
import { MAX_STRING_BYTES } from './json-values.ts'
import { LineReader, linesOf, type Line } from './line-protocol.ts'
import { MAX_ELEMENTS } from '../stamps/reservation.ts'

/** The field of a payload that is a value without a name. */
export const VALUE = 'value'
/** Bytes of a text that is a value, in one line, where nobody said that it is one. */
const MAX_TEXT_BYTES = 256

const TAG = 0x3c
const ARRAY = 0x5b
const OBJECT = 0x7b

/** What a text is read as: line protocol, one line that is a value, or whichever it is. */
export type TextForm = 'text' | 'line_protocol' | 'plain'

interface Into {
  readonly stream: string
  readonly readings: PayloadReadings
  /** A text may stand beside JSON. */
  readonly isAllowed: boolean
}

/** True for a payload that begins as JSON or XML: whatever is wrong with it, it is not meant as a text. */
export function isNoText(payload: Uint8Array): boolean {
  let at = payload[0] === 0xef && payload[1] === 0xbb && payload[2] === 0xbf ? 3 : 0
  let first = payload[at]
  while (first === 0x20 || first === 0x0a || first === 0x0d || first === 0x09) first = payload[++at]
  return first === OBJECT || first === ARRAY || first === TAG
}

/** Reads the text into `readings`; or gives what is wrong with it, for a person. */
export function readText(form: TextForm, text: string, into: Into): string | undefined {
  const lines = form === 'plain' ? undefined : linesOf(new LineReader(), Buffer.from(text))
  if (lines !== undefined) return readLines(lines, into)
  if (form === 'line_protocol') return 'not all of it is lines of line protocol with a field'
  const most = form === 'plain' ? MAX_STRING_BYTES : MAX_TEXT_BYTES
  if (Buffer.byteLength(text) > most) return `a text of more than ${most} bytes`
  if (/[^\P{Cc}\t]/u.test(text)) return 'not one line of text'
  const { readings } = into
  readings.unnamed(form === 'plain' || into.isAllowed ? 'value' : 'text')
  const element = readings.next()
  readings.reading.begin(element)
  readings.reading.put(text, VALUE)
  readings.finish(0, readings.reading.settle(0), element)
  return undefined
}

function readLines(lines: readonly Line[], { stream, readings }: Into): undefined {
  readings.unnamed('value')
  for (const line of lines.slice(0, MAX_ELEMENTS)) {
    const element = readings.next()
    const { reading } = readings
    reading.begin(element)
    const { head } = line
    const front = head.measurement === stream ? '' : `${head.measurement}.`
    for (const [written, value] of line.fields) if (value !== undefined) reading.put(value, head.nameOf(written, front))
    if (line.time !== undefined) reading.time.readDigits(line.time, 'time')
    readings.finish(0, reading.settle(0), element)
  }
  readings.count = lines.length
}
