import { CsvError, parse } from 'csv-parse/sync'
import { SluiceError } from './errors.ts'

export interface CsvRow {
  /** Line of the file where the row begins, from 1. */
  readonly line: number
  readonly cells: readonly string[]
}

export interface CsvTable {
  readonly header: readonly string[]
  readonly rows: readonly CsvRow[]
}

/** As RFC 4180 has it, with any line ends; rows need not be of one length. */
const FORMAT = { bom: true, relax_column_count: true, record_delimiter: ['\r\n', '\n', '\r'] }

/**
 * Reads a table as RFC 4180 has it: a header row, quotes doubled inside quotes, any line ends. Empty lines are passed
 * over. Error: `bad_request` with the line of a row that does not fit the header, or of a quote without its partner.
 */
export function parseCsv(text: string): CsvTable {
  const [header, ...data] = readCsvRows(text)
  if (header === undefined) throw new SluiceError('bad_request', 'the file is empty')
  const misfit = data.find((row) => row.cells.length !== header.cells.length)
  if (misfit !== undefined) {
    const counts = `${misfit.cells.length} cells, but the header has ${header.cells.length}`
    throw new SluiceError('bad_request', `line ${misfit.line}: ${counts}`)
  }
  return { header: header.cells, rows: data }
}

/** The rows as they are, the header with them. Error: `bad_request` with the line of a quote without its partner. */
export function readCsvRows(text: string): CsvRow[] {
  const bytes = Buffer.from(text)
  const rows: CsvRow[] = []
  let line = 1
  let end = 0
  // csv-parse counts lines, too, but a CRLF in quotes as two.
  const linesUntil = (at: number) => bytes.toString('latin1', end, at).match(/\r\n|\n|\r/g)?.length ?? 0
  try {
    parse(bytes, {
      ...FORMAT,
      on_record(cells: string[], info) {
        if (cells.length > 1 || cells[0] !== '') rows.push({ line, cells })
        line += linesUntil(info.bytes)
        end = info.bytes
        return undefined
      },
    })
    return rows
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    const at = line + linesUntil(Number(error['bytes']))
    throw new SluiceError('bad_request', `line ${at}: a quote in the wrong place or without its partner`, {
      cause: error,
    })
  }
}
