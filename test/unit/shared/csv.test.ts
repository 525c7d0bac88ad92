import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCsv, readCsvRows } from '../../../shared/csv.ts'

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

  it('knows the line of each row, whatever ends the lines', () => {
    const end = fc.constantFrom('\n', '\r\n', '\r')
    const inside = fc.array(end, { maxLength: 3 })
    // The 'x' keeps the end of one line from becoming one with the next.
    const row = fc.record({ empty: fc.nat(2), inside, end })
    fc.assert(
      fc.property(fc.array(row), fc.boolean(), (rows, mark) => {
        const expected: number[] = []
        let text = ''
        let line = 1
        for (const it of rows) {
          text += it.end.repeat(it.empty) + `é,"${it.inside.join('x')}"` + it.end
          line += it.empty
          expected.push(line)
          line += it.inside.length + 1
        }
        // A CR and an LF of two rows are one line end.
        fc.pre(!/\r\n/.test(text) || rows.every((it) => it.end !== '\r'))
        expect(readCsvRows((mark ? '\ufeff' : '') + text).map((it) => it.line)).toEqual(expected)
      }),
    )
  })

  it.each([
    ['', 'empty'],
    ['a,b\n1', 'line 2: 1 cells'],
    ['a,b\n1,2\n"x\ny",2\n1,2,3', 'line 5: 3 cells'],
    ['a,b\n1,"2', 'line 2: a quote'],
    ['a,b\n1,2"', 'line 2: a quote'],
    ['a,b\n"x"y,2', 'line 2: a quote'],
    ['a,b\r\n"x\r\ny",2\r\n\r\n1,"2\r\n3\r\n4', 'line 5: a quote'],
    ['\ufeff\n\n"a\nb', 'line 3: a quote'],
  ])('%j is refused', (text, message) => {
    expect(() => parseCsv(text)).toThrow(message)
  })
})
