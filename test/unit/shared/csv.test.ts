import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCsv } from '../../../shared/csv.ts'

describe('a CSV file', () => {
  const cell = fc.oneof(fc.string(), fc.constantFrom('"', ',', '\n', '\r\n', '""', 'é', ''))
  const quote = (text: string) => `"${text.replaceAll('"', '""')}"`

  it('is read as it was written', () => {
    const rows = fc.array(fc.tuple(cell, cell, cell), { minLength: 1 })
    fc.assert(
      fc.property(rows, fc.constantFrom('\n', '\r\n'), fc.boolean(), (table, end, last) => {
        const text = table.map((row) => row.map(quote).join(',')).join(end) + (last ? end : '')
        const { header, rows: data } = parseCsv(text)
        expect([header, ...data.map((row) => row.cells)]).toEqual(table)
      }),
    )
  })

  it('may have a byte order mark, empty lines and plain cells', () => {
    const { header, rows } = parseCsv('\ufeffa,b\r\n\r\n1,\r\n')
    expect({ header, rows }).toEqual({ header: ['a', 'b'], rows: [{ line: 3, cells: ['1', ''] }] })
  })

  it.each([
    ['', 'empty'],
    ['a,b\n1', 'line 2: 1 cells'],
    ['a,b\n1,2\n"x\ny",2\n1,2,3', 'line 5: 3 cells'],
    ['a,b\n1,"2', 'line 2: a quote'],
    ['a,b\n1,2"', 'line 2: a quote'],
  ])('%j is refused', (text, message) => {
    expect(() => parseCsv(text)).toThrow(message)
  })
})
