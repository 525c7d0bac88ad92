import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { retryAfter } from '../../../../../shared/points/influx/answers.ts'
import { cellOf, parseTime, parseValue, readAnnotatedCsv, typeOf } from '../../../../../shared/points/influx/csv.ts'
import { formatInstant, MAX_INSTANT } from '../../../../../shared/telemetry.ts'

/** As Go's `csv.Writer` with `UseCRLF` writes a cell. */
function quote(cell: string): string {
  if (!/[",\r\n]|^\s|^\\\.$/.test(cell)) return cell
  const text = cell.replaceAll('"', '""').replaceAll('\r', '').replaceAll('\n', '\r\n')
  return `"${text}"`
}

function toCsv(tables: readonly { types: readonly string[]; names: readonly string[]; rows: readonly string[][] }[]) {
  const lines = tables.flatMap(({ types, names, rows }) => [
    ['#datatype', 'string', 'long', ...types],
    ['#default', '_result', '', ...types.map(() => '')],
    ['', 'result', 'table', ...names],
    ...rows.map((row) => ['', '', '0', ...row]),
    [''],
  ])
  return lines.map((line) => `${line.map(quote).join(',')}\r\n`).join('')
}

async function* inPieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((x, y) => x - y)
  let from = 0
  for (const to of places) {
    yield bytes.subarray(from, to)
    from = to
  }
}

async function read(text: string, cuts: readonly number[] = []): Promise<string[][]> {
  const rows: string[][] = []
  await readAnnotatedCsv(inPieces(Buffer.from(text), cuts), (_table, cells) => void rows.push([...cells]))
  return rows
}

// Without CR: the server's writer drops it, so nothing is kept with one.
const cell = fc
  .oneof(fc.string({ unit: 'binary' }), fc.constantFrom('"', '""', ',', '\n', ' x', '\\.', '👩‍🚀', '#datatype', ''))
  .map((text) => text.replaceAll('\r', ''))

describe('annotated CSV', () => {
  it('gives every cell back, wherever its bytes are cut', async () => {
    const table = fc.record({
      types: fc.constant(['string', 'string']),
      names: fc.constant(['_field', '_value']),
      rows: fc.array(fc.tuple(cell, cell), { maxLength: 6 }).map((rows) => rows.map((row) => [...row])),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(table, { maxLength: 3 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        async (tables, cuts) => {
          const expected = tables.flatMap(({ rows }) => rows.map((row) => ['', '_result', '0', ...row]))
          expect(await read(toCsv(tables), cuts)).toEqual(expected)
        },
      ),
    )
  })

  it('knows names, types and defaults of each table', async () => {
    const seen: unknown[] = []
    const text = toCsv([
      { types: ['double'], names: ['_value'], rows: [['1.5']] },
      { types: ['long'], names: ['_value'], rows: [['7']] },
    ])
    await readAnnotatedCsv(inPieces(Buffer.from(text), []), (table, cells) => {
      seen.push([cellOf(table, cells, 'result'), typeOf(table, '_value'), cellOf(table, cells, '_value')])
    })
    expect(seen).toEqual([
      ['_result', 'float', '1.5'],
      ['_result', 'integer', '7'],
    ])
  })

  it('ends when it is told to', async () => {
    const text = toCsv([{ types: ['long'], names: ['_value'], rows: [['1'], ['2'], ['3']] }])
    const seen: string[] = []
    await readAnnotatedCsv(inPieces(Buffer.from(text), []), (_table, cells) => seen.push(cells[3] ?? '') < 2)
    expect(seen).toEqual(['1', '2'])
  })

  it('is an error when the server gives up on the way, or breaks off', async () => {
    const good = toCsv([{ types: ['long'], names: ['_value'], rows: [['1']] }])
    const error = '#datatype,string,string\r\n#default,,\r\n,error,reference\r\n,out of memory,\r\n'
    await expect(read(good + error)).rejects.toMatchObject({ code: 'store_unavailable', message: /out of memory/ })
    await expect(read(`${good},,0,"1`)).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(read('<html>"x"y</html>"\n')).resolves.toEqual([])
    await expect(read('"a"b\r\n')).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})

describe('values', () => {
  it.each([
    ['float', '-0', -0],
    ['float', `0.${'0'.repeat(323)}5`, 5e-324],
    ['float', '+Inf', Infinity],
    ['float', '-Inf', -Infinity],
    ['integer', '9007199254740991', 2 ** 53 - 1],
    ['integer', '9007199254740993', 2n ** 53n + 1n],
    ['integer', '-9223372036854775808', -(2n ** 63n)],
    ['boolean', 'true', true],
    ['string', '\x100', ''],
  ] as const)('%s %s', (type, text, value) => {
    expect(parseValue(type, text)).toStrictEqual(value)
  })

  it('times keep their nanoseconds', () => {
    const instant = fc.record({ ms: fc.integer({ min: 0, max: MAX_INSTANT.ms }), ns: fc.nat({ max: 999_999 }) })
    fc.assert(
      fc.property(fc.oneof(instant, fc.constant(MAX_INSTANT)), (time) => {
        // As Go writes RFC3339Nano: without zeros at the end.
        const text = formatInstant(time)
          .replace(/(\.\d*?)0+Z$/, '$1Z')
          .replace('.Z', 'Z')
        expect(parseTime(text)).toEqual(time)
      }),
    )
    expect(() => parseTime('yesterday')).toThrow(/yesterday/)
  })
})

describe('Retry-After', () => {
  it.each([
    ['2', 2000],
    [' 120 ', 120_000],
    ['', undefined],
    ['soon', undefined],
    [undefined, undefined],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ])('%j is %s ms', (header, ms) => {
    expect(retryAfter(header)).toBe(ms)
  })
})
