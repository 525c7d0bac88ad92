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

/** One cell at the position of the search: quoted or plain, and what ends it. */
const CELL = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|$)/y

/**
 * Reads a table as RFC 4180 has it: a header row, quotes doubled inside quotes, any line ends. Empty lines are passed
 * over. Error: `bad_request` with the line of a row that does not fit the header, or of a quote without its partner.
 */
export function parseCsv(text: string): CsvTable {
  const [header, ...data] = readCsvRows(text)
  if (header === undefined) throw new SluiceError('bad_request', 'the file is empty')
  const misfit = data.find((row) => row.cells.length !== header.cells.length)
  if (misfit !== undefined) {
    const counts = `${misfit.cells.length} cells where the header has ${header.cells.length}`
    throw new SluiceError('bad_request', `line ${misfit.line}: ${counts}`)
  }
  return { header: header.cells, rows: data }
}

/** The rows as they are, the header with them. Error: `bad_request` with the line of a quote without its partner. */
export function readCsvRows(text: string): CsvRow[] {
  const rows: CsvRow[] = []
  let cells: string[] = []
  let line = 1
  let rowLine = 1
  CELL.lastIndex = text.startsWith('\ufeff') ? 1 : 0
  while (CELL.lastIndex < text.length || cells.length > 0) {
    const match = CELL.exec(text)
    if (match === null)
      throw new SluiceError('bad_request', `line ${line}: a quote in the wrong place or without its partner`)
    const [whole, quoted, plain = '', end] = match
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    line += whole.match(/\r\n|\n|\r/g)?.length ?? 0
    if (end === ',') continue
    if (cells.length > 1 || cells[0] !== '') rows.push({ line: rowLine, cells })
    cells = []
    rowLine = line
  }
  return rows
}
