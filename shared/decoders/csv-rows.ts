import { isUtf8 } from 'node:buffer'
import { faultOfRecord, type Fault } from '../faults.ts'
import { MAX_FIELDS } from './json-reading.ts'
import { JsonText } from './json-text-writer.ts'
import type { PayloadDecoder } from './payload-decoder.ts'

interface Cell {
  readonly text: string
  readonly isQuoted: boolean
}

const QUOTE = '"'
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/
const NUMBER_WITH_COMMA = /^-?(?:0|[1-9]\d*),\d+$/
const NO_NUMBER = /^[-+]?(?:nan|inf(?:inity)?)$/i
const BOOLEAN = /^(?:true|false)$/i

/**
 * Lines of cells (RFC 4180) as an array of objects: a reading for each line. The policy `csv_columns` names the columns, or
 * else the first line does. Cells are separated by the first of `;`, tab and `,` that the first line has; with `;` a number
 * may have a decimal comma. What stands in quotes is a text.
 */
export const csv: PayloadDecoder = {
  read(payload, { policy }) {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    if (!isUtf8(bytes)) return faultOfRecord('payload_not_utf8', 'the payload is not UTF-8')
    const text = bytes
      .toString('utf8')
      .replace(/^\ufeff/, '')
      .replace(/[\s\0]+$/, '')
    const separator = separatorOf(text)
    return write(rowsOf(text, separator), policy.csv_columns, separator)
  },
}

function separatorOf(text: string): string {
  const end = text.search(/[\r\n]/)
  const line = (end < 0 ? text : text.slice(0, end)).replaceAll(/"[^"]*"/g, '')
  return [';', '\t'].find((one) => line.includes(one)) ?? ','
}

function isOf(row: readonly Cell[], names: readonly string[]): boolean {
  return row.length === names.length && row.every(({ text }, i) => text.trim() === names[i])
}

/** Line by line, but for empty ones; what is wrong with one ends them. */
function* rowsOf(text: string, separator: string): Generator<readonly Cell[] | Fault> {
  let row: Cell[] = []
  let at = 0
  while (at < text.length || row.length > 0) {
    const isQuoted = text[at] === QUOTE
    const end = isQuoted ? endOfQuoted(text, at) : endOfPlain(text, at, separator)
    const behind = text[end] ?? '\n'
    if (end < 0 || !(behind === separator || behind === '\n' || behind === '\r')) {
      yield faultOfRecord('payload_not_as_declared', `a quote without its partner at character ${at}`)
      return
    }
    if (row.length > MAX_FIELDS) {
      yield faultOfRecord('payload_not_as_declared', `more than ${MAX_FIELDS} cells before character ${at}`)
      return
    }
    const cell = isQuoted ? text.slice(at + 1, end - 1).replaceAll('""', QUOTE) : text.slice(at, end)
    row.push({ text: cell, isQuoted })
    at = end + 1
    if (behind === separator) continue
    if (behind === '\r' && text[at] === '\n') at += 1
    if (row.length > 1 || isQuoted || cell.trim() !== '') yield row
    row = []
  }
}

/** Behind the closing quote, or -1. */
function endOfQuoted(text: string, start: number): number {
  for (let at = text.indexOf(QUOTE, start + 1); at >= 0; at = text.indexOf(QUOTE, at + 2)) {
    if (text[at + 1] !== QUOTE) return at + 1
  }
  return -1
}

function endOfPlain(text: string, start: number, separator: string): number {
  let at = start
  for (let one = text[at]; one !== undefined && one !== separator && one !== '\n' && one !== '\r'; one = text[++at]);
  return at
}

function write(
  rows: Iterable<readonly Cell[] | Fault>,
  columns: readonly string[],
  separator: string,
): Uint8Array | Fault {
  const text = new JsonText('base64')
  let names = columns.length > 0 ? columns : undefined
  let isFirst = true
  text.beginArray()
  for (const row of rows) {
    if (!isRow(row)) return row
    if (text.isFull) return faultOfRecord('payload_not_as_declared', 'more than a payload may become')
    const isHeader = isFirst && (names === undefined || isOf(row, names))
    names ??= row.map((cell) => cell.text.trim())
    isFirst = false
    if (!isHeader) writeRow(row, names, text, separator)
  }
  text.endArray()
  return text.toBytes()
}

function isRow(row: readonly Cell[] | Fault): row is readonly Cell[] {
  return Array.isArray(row)
}

function writeRow(row: readonly Cell[], names: readonly string[], text: JsonText, separator: string): void {
  text.beginObject()
  for (const [i, cell] of row.entries()) {
    // A cell beyond the columns is called by its number.
    text.key(names[i] ?? String(i + 1))
    writeCell(cell, text, separator)
  }
  text.endObject()
}

function writeCell({ text: written, isQuoted }: Cell, text: JsonText, separator: string): void {
  const value = isQuoted ? written : written.trim()
  if (value === '') text.null()
  else if (isQuoted) text.string(value)
  else if (NUMBER.test(value)) text.digits(value)
  else if (separator === ';' && NUMBER_WITH_COMMA.test(value)) text.digits(value.replace(',', '.'))
  else if (NO_NUMBER.test(value)) text.number(Number.NaN)
  else if (BOOLEAN.test(value)) text.boolean(value.toLowerCase() === 'true')
  else text.string(value)
}
