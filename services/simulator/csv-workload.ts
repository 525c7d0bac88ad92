import { SluiceError } from '../../shared/errors.ts'
import type { PointValue } from '../../shared/telemetry.ts'
import { parseCsv, type CsvRow, type CsvTable } from '../../shared/csv.ts'
import { parseRowTime, parseZone } from './workload/row-time.ts'
import type { Workload } from './workload.ts'

export interface CsvOptions {
  readonly timeColumn: string
  /** Zone of times that carry none, `Z` or `+hh:mm`; UTC when undefined. */
  readonly timeZone: string | undefined
}

export interface CsvWorkload extends Workload {
  /** Rows that became readings. */
  readonly rows: number
  /** Rows without any value. */
  readonly emptyRows: number
  /** Some times carried no zone and none was given, so they were read as UTC. */
  readonly zoneAssumed: boolean
}

type ColumnType = 'number' | 'boolean' | 'string'

interface Column {
  readonly name: string
  readonly index: number
  readonly type: ColumnType
}

interface Reading {
  readonly payload: string
  readonly timeUs: number
  readonly values: readonly (PointValue | undefined)[]
}

/** A decimal number as tables write it; JSON has no leading plus, zeros or bare points. */
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/
const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/
const TIME_NAMES = ['ts', 'time', 'timestamp']

/**
 * Each row of a table as one reading per device: the columns are fields, the row's time is its `ts`. A column is of
 * numbers or booleans when all its cells are, else of strings; an empty cell is no value. Numbers keep the text they
 * have in the file. Error: `bad_request` with the line or column that cannot be sent.
 */
export function csvWorkload(text: string, options: CsvOptions): CsvWorkload {
  const table = parseCsv(text)
  const timeIndex = table.header.indexOf(options.timeColumn)
  if (timeIndex < 0) {
    const names = table.header.join(', ')
    throw new SluiceError('bad_request', `the file has no column "${options.timeColumn}"; it has ${names}`)
  }
  const columns = columnsOf(table, timeIndex)
  const readings: Reading[] = []
  const byTime = new Map<number, number>()
  let zoneAssumed = false
  for (const row of table.rows) {
    const time = parseRowTime(row.cells[timeIndex] ?? '', options.timeZone, `line ${row.line}`)
    zoneAssumed ||= time.zoneAssumed
    const reading = readingOf(row, columns, time)
    if (reading === undefined) continue
    if (byTime.has(time.us)) throw sameTime(row, time.text)
    byTime.set(time.us, readings.length)
    readings.push(reading)
  }
  const fieldIndex = new Map(columns.map((column, index) => [column.name, index]))
  return {
    length: readings.length,
    rows: readings.length,
    emptyRows: table.rows.length - readings.length,
    zoneAssumed,
    fields: columns.map((column) => column.name),
    payload: (_device, sequence) => readings[sequence]?.payload ?? '',
    timeUs: (sequence) => readings[sequence]?.timeUs ?? 0,
    sequenceAt: (timeUs) => byTime.get(timeUs),
    value: (_device, sequence, field) => readings[sequence]?.values[fieldIndex.get(field) ?? -1],
  }
}

/** Whether times without a zone can be in it: `Z`, `UTC` or an offset. */
export function isTimeZone(text: string): boolean {
  return parseZone(text) !== undefined
}

function sameTime(row: CsvRow, time: string): SluiceError {
  const detail = 'a device has one reading per time, so the later row would replace the earlier one'
  return new SluiceError('bad_request', `line ${row.line}: the time ${time} is a repetition; ${detail}`)
}

function columnsOf({ header, rows }: CsvTable, timeIndex: number): Column[] {
  const columns = header.flatMap((name, index) => {
    if (index === timeIndex) return []
    const problem = nameProblem(name, header)
    if (problem !== undefined)
      throw new SluiceError('bad_request', `column "${name}": ${problem}; rename it in the file`)
    return [{ name, index, type: columnType(rows.map((row) => row.cells[index] ?? '')) }]
  })
  if (columns.length === 0) throw new SluiceError('bad_request', 'the file has no column other than the time')
  return columns
}

function nameProblem(name: string, header: readonly string[]): string | undefined {
  if (name === '') return 'a field needs a name'
  if (header.indexOf(name) !== header.lastIndexOf(name)) return 'the name is used twice'
  if (TIME_NAMES.includes(name)) return 'the name is reserved for the time of a reading'
  return name.startsWith('_') ? 'names that begin with "_" are reserved' : undefined
}

function columnType(cells: readonly string[]): ColumnType {
  const filled = cells.filter((cell) => cell !== '')
  if (filled.length === 0) return 'string'
  if (filled.every(isExactNumber)) return 'number'
  return filled.every((cell) => cell === 'true' || cell === 'false') ? 'boolean' : 'string'
}

/** Whole numbers beyond 2^53 would be refused as numbers; as strings they arrive. */
function isExactNumber(cell: string): boolean {
  const value = Number(cell)
  return DECIMAL.test(cell) && Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))
}

function readingOf(row: CsvRow, columns: readonly Column[], time: { text: string; us: number }): Reading | undefined {
  const cells = columns.map((column) => ({ ...column, cell: row.cells[column.index] ?? '' }))
  const members = cells
    .filter(({ cell }) => cell !== '')
    .map((it) => `${JSON.stringify(it.name)}:${jsonText(it.type, it.cell)}`)
  if (members.length === 0) return undefined
  const json = `{${[`"ts":${time.text}`, ...members].join(',')}}`
  const values = cells.map(({ type, cell }) => (cell === '' ? undefined : valueOf(type, cell)))
  return { payload: Buffer.from(json, 'utf8').toString('latin1'), timeUs: time.us, values }
}

function jsonText(type: ColumnType, cell: string): string {
  if (type === 'string') return JSON.stringify(cell)
  return type === 'number' && !JSON_NUMBER.test(cell) ? String(Number(cell)) : cell
}

function valueOf(type: ColumnType, cell: string): PointValue {
  if (type === 'number') return Number(cell)
  return type === 'boolean' ? cell === 'true' : cell
}
