import fc from 'fast-check'
import { expect, it } from 'vitest'
import * as queries from '../../../../../shared/points/influx/flux.ts'
import { anyText } from '../../../../names.ts'

const { ALL_TIME } = queries

/** Every query that names or keys are put into. */
function queriesOf(name: { tenant: string; device: string; stream: string; key: string }): string[] {
  const { tenant, device, stream, key } = name
  const selection = { bucket: 'telemetry', tenant, device, stream, keys: [key, 'plain'], ...ALL_TIME }
  const search = { bucket: 'telemetry', tenant, devices: [device], streams: [stream], keys: [key], ...ALL_TIME }
  const series = [{ device, measurement: `${tenant}.${stream}`, key }]
  const many = { bucket: 'telemetry', series, ...ALL_TIME }
  return [
    queries.select(selection),
    queries.points(selection, 10),
    queries.windows(selection, { function: 'mean', intervalMs: 1000 }, 10),
    queries.whole(selection, 'max'),
    queries.firstOfEach('telemetry', tenant, device, stream),
    queries.firstOfEach('telemetry', tenant, device),
    queries.seriesWithin(search),
    queries.pointsOfMany(many, 10),
    queries.windowsOfMany(many, { function: 'sum', stepMs: 1000 }, 10),
  ].map(String)
}

/**
 * A query as the grammar of Flux reads it: its texts, and all else. `"` begins a text, `\` escapes what follows, `${` would begin
 * an expression, `//` a comment. https://docs.influxdata.com/flux/v0/spec/lexical-elements/#string-literals
 */
function read(query: string): { texts: string[]; rest: string } {
  const texts: string[] = []
  let rest = ''
  for (let at = 0; at < query.length;) {
    if (query.startsWith('//', at)) throw new Error(`a comment at ${at} of ${query}`)
    if (query[at] !== '"') {
      rest += query[at]
      at += 1
      continue
    }
    let text = ''
    for (at += 1; query[at] !== '"';) {
      if (at >= query.length) throw new Error(`a text without end in ${query}`)
      if (query.startsWith('${', at)) throw new Error(`an expression at ${at} of ${query}`)
      if (query[at] !== '\\') {
        text += query[at]
        at += 1
        continue
      }
      const hex = /^\\x([0-9a-f]{2})/.exec(query.slice(at, at + 4))?.[1]
      const plain = { n: '\n', r: '\r', t: '\t', '\\': '\\', '"': '"' }[query[at + 1] ?? '']
      if (hex === undefined && plain === undefined) throw new Error(`no escape at ${at} of ${query}`)
      text += hex === undefined ? plain : String.fromCharCode(parseInt(hex, 16))
      at += hex === undefined ? 2 : 4
    }
    at += 1
    rest += '""'
    texts.push(text)
  }
  return { texts, rest }
}

const PLAIN = { tenant: 'demo', device: 'pump', stream: 'power', key: 'a' }

it('no name of a device, a stream or a field is more than text in a query', () => {
  const plain = queriesOf(PLAIN).map(read)
  fc.assert(
    fc.property(anyText, anyText, anyText, (device, stream, key) => {
      queriesOf({ ...PLAIN, device, stream, key }).forEach((query, index) => {
        const { texts, rest } = read(query)
        expect(rest).toBe(plain[index]?.rest)
        expect(texts).toHaveLength(plain[index]?.texts.length ?? 0)
        if (plain[index]?.texts.includes(PLAIN.key) === true) expect(texts).toContain(key)
      })
    }),
  )
})

it('a query that would be more than text is seen by this test', () => {
  const injected = (name: string) => read(`filter(fn: (r) => r.device == "${name}")`)
  expect(injected('a" or true or r.device == "').rest).not.toBe(injected('a').rest)
  expect(() => injected('${r.device}')).toThrow('an expression')
  expect(() => injected('a\\')).toThrow()
})
