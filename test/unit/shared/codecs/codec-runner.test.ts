import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { MAX_FAILURES } from '../../../../shared/codecs/codec-calls.ts'
import { CodecRunner } from '../../../../shared/codecs/codec-runner.ts'

const NOW = 1_700_000_000_000
const runner = new CodecRunner()
afterAll(() => runner.close())

interface Given {
  readonly bytes?: readonly number[]
  readonly time?: string
}

async function runAll(source: string, inputs: readonly Given[]): Promise<readonly string[]> {
  const jobs = inputs.map((one) => {
    const input = {
      bytes: [1, 2, 3],
      text: '',
      fPort: 7,
      topic: 't',
      stream: 's',
      recvMs: NOW,
      timeKeys: ['ts'],
      ...one,
    }
    return { id: source, input: JSON.stringify(input), nowMs: NOW }
  })
  return runner.run(jobs, new Map([[source, source]]))
}

async function run(body: string, given: Given = {}): Promise<string> {
  const [answer = ''] = await runAll(`function decodeUplink(input) {\n${body}\n}`, [given])
  return answer
}

describe('a codec', () => {
  it.each([
    ['decodeUplink', 'function decodeUplink({ bytes, fPort, recvTime }) { return { data: [bytes, fPort, recvTime] } }'],
    ['a constant', 'const decodeUplink = ({ bytes, fPort, recvTime }) => ({ data: [bytes, fPort, recvTime] })'],
    ['module.exports', 'module.exports = { decodeUplink: (i) => ({ data: [i.bytes, i.fPort, i.recvTime] }) }'],
    ['exports', 'exports.decodeUplink = (i) => ({ data: [i.bytes, i.fPort, i.recvTime] })'],
    ['Decoder', 'function Decoder(bytes, port) { return [bytes, port, new Date()] }'],
    ['Decode', 'function Decode(fPort, bytes) { return [bytes, fPort, new Date(Date.now())] }'],
    ['decode', 'function decode({ bytes, fPort, recvTime }) { return [bytes, fPort, recvTime] }'],
  ])('of the form %s is called as its form says', async (_form, source) => {
    expect(await runAll(source, [{}])).toEqual([`D[[1,2,3],7,"${new Date(NOW).toISOString()}"]`])
  })

  it('has a clock that stands, in UTC, and nothing of the host', async () => {
    const names = ['require', 'process', 'fetch', 'setTimeout', 'performance', 'WebAssembly', 'Buffer', 'std', 'os']
    const kinds = names.map((name) => `typeof ${name}`).join(', ')
    expect(await run(`return { data: [new Date(2020, 0, 1), new Date().getHours(), ${kinds}] }`)).toBe(
      `D["2020-01-01T00:00:00.000Z",22,${names.map(() => '"undefined"').join(',')}]`,
    )
    expect(await run('return { data: Math.random() }')).toMatch(/^ETypeError/)
  })

  it('gives the time of the envelope where it says none itself', async () => {
    const time = '2026-01-02T03:04:05Z'
    expect(await run('return { data: { a: 1 } }', { time })).toBe(`D{"ts":"${time}","a":1}`)
    expect(await run('return { data: { ts: 5, a: 1 } }', { time })).toBe('D{"ts":5,"a":1}')
    expect(await run('return { data: [1] }', { time })).toBe('D[1]')
  })

  it('finds nothing of the message before: equal messages give equal answers', async () => {
    const source = `var count = 0, kept = []
      function decodeUplink({ bytes }) {
        count++; kept.push(bytes); Array.prototype.sum = 1; globalThis['x' + bytes[0]] = 1; Object.prototype.y ??= bytes[0]
        return { data: { count, kept: kept.length, y: ({}).y, names: Object.keys(globalThis).length } }
      }`
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.nat(255), { maxLength: 8 }), { maxLength: 8 }), async (all) => {
        const answers = await runAll(
          source,
          all.map((bytes) => ({ bytes })),
        )
        for (const [i, bytes] of all.entries()) expect(answers[i]).toBe((await runAll(source, [{ bytes }]))[0])
      }),
      { numRuns: 20 },
    )
  })

  it.each([
    ['for(;;);', /^Lit does not come to an end/],
    ['while (true) { try { for (;;); } catch (e) { continue } }', /^Lit does not come to an end/],
    ['return { data: new Proxy({}, { ownKeys() { for (;;); } }) }', /^Lit does not come to an end/],
    ['return { data: { get x() { for (;;); } } }', /^Lit does not come to an end/],
    ['return { data: [3, 1, 2].sort(() => { for (;;); }) }', /^Lit does not come to an end/],
    ['function f() { return f() + 1 } f()', /^Lstack overflow/],
    ['"a".repeat(1e9)', /^Lout of memory/],
    ['const a = []; for (;;) a.push("x" + a.length)', /^Lout of memory/],
    ['JSON.parse("[".repeat(100000))', /^E|^L/],
    ['eval("(".repeat(50000))', /^E|^L/],
    ['return { data: { x: "a".repeat(2e6) } }', /^Loutput of/],
    ['return Promise.resolve({ data: 1 })', /^Eit gave a promise/],
    ['return { data: async () => 1 }', /^Eit gave what is no JSON/],
    ['return { errors: ["too short"] }', /^Etoo short$/],
    ['return { data: {}, errors: [{}, "b"] }', /^E\[/],
    ['return 5', /^ETypeError: decodeUplink gave no object/],
    ['return {}', /^Eit gave nothing/],
    ['throw { get message() { throw 1 } }', /^Ewhat it threw cannot be shown/],
    ['throw Symbol("x")', /^E/],
    ['throw null', /^Enull/],
    ['JSON.stringify = () => "x"; Array.prototype.toJSON = () => 1; return { data: { a: 1 } }', /^D\{"a":1\}$/],
    [`return { data: JSON.parse('{"__proto__":{"x":1}}') }`, /^D\{"__proto__":\{"x":1\}\}$/],
    ['return { data: { x: Symbol("a"), [Symbol("y")]: 1, f() {}, n: NaN, u: undefined } }', /^D\{"n":null\}$/],
    ['return { data: { a: 7n, b: 12345678901234567890n } }', /^D\{"a":7,"b":"12345678901234567890"\}$/],
    ['return { data: { a: 1 }, warnings: ["low"] }', /^D\{"a":1\}$/],
  ])('%s', async (body, expected) => {
    const answer = await run(body)
    expect(answer).toMatch(expected)
    expect(await run(body)).toBe(answer)
    expect(await run('return { data: { alive: 1 } }')).toBe('D{"alive":1}')
  })

  it.each([
    ['function (', 'line 1: SyntaxError'],
    ['\n\nlet x = ;', 'line 3: SyntaxError'],
    ['var y = 1', 'it defines none of the functions decodeUplink'],
    ['\nrequire("x")', "line 2: ReferenceError: 'require' is not defined"],
    ['for(;;);', 'it does not come to an end'],
    ['throw { toString() { for(;;); } }', ''],
  ])('with the source %j is refused with line and reason', async (source, wrong) => {
    expect(await runner.check(source)).toContain(wrong)
  })

  it('that can be used is not refused', async () => {
    expect(await runner.check('function Decoder() {}')).toBeUndefined()
  })

  it(`is paused after ${MAX_FAILURES} failures in a row, until it is resumed; one that works begins the count anew`, async () => {
    const source = 'function Decoder(bytes) { if (bytes[0] === 0) throw "bad"; return { a: 1 } }'
    const bad = { bytes: [0] }
    const most = Array.from({ length: MAX_FAILURES - 1 }, () => bad)
    const answers = await runAll(source, [...most, {}, ...most, bad, {}])
    expect(answers.filter((one) => one === 'P')).toHaveLength(1)
    expect(answers.at(-1)).toBe('P')
    expect(answers.filter((one) => one.startsWith('D'))).toHaveLength(1)
    expect(await runAll(source, [{}])).toEqual(['P'])
    expect((await runAll('function Decoder() { return 1 }', [{}]))[0]).toBe('D1')
    runner.resume()
    expect((await runAll(source, [{}]))[0]).toBe('D{"a":1}')
  })
})
