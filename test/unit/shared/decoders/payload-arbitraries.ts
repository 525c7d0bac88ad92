import fc from 'fast-check'

/** Texts of JSON payloads, valid and nearly valid: every rule of the decoder should be met by some of them. */

const digits = (maxLength: number) => fc.stringMatching(new RegExp(`^\\d{1,${maxLength}}$`))

const number = fc.oneof(
  fc.double().map(String),
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc.constantFrom(
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '9223372036854775807',
    '9223372036854775808',
    '9007199254740993.0',
    '9007199254740993.00001',
  ),
  fc.constantFrom(
    '0',
    '-0',
    '-0.0',
    '1e999',
    '-1e999',
    '1e-999',
    '123456789012345',
    '1234567890.12345',
    '0.000000000000001',
  ),
  fc.tuple(digits(20), digits(20)).map(([whole, fraction]) => `${BigInt(whole)}.${fraction}`),
  fc.tuple(digits(18), fc.integer({ min: -400, max: 400 })).map(([whole, power]) => `${BigInt(whole)}e${power}`),
)

const noNumber = fc.constantFrom('01', '1.', '.5', '+1', '-', '1e', '1e+', '0x1', 'NaN', 'Infinity', '-01', '00')

const timeNumber = fc.oneof(
  fc.integer({ min: 1, max: 22 }).chain((length) => fc.stringMatching(new RegExp(`^[1-9]\\d{${length - 1}}$`))),
  fc.tuple(digits(19), digits(12)).map(([whole, fraction]) => `${BigInt(whole)}.${fraction}`),
  fc.tuple(digits(3), digits(6), fc.integer({ min: -30, max: 30 })).map(([a, b, e]) => `${BigInt(a)}.${b}E${e}`),
  fc.constantFrom(
    '-1',
    '-0',
    '-0.0',
    '0',
    '0.0005',
    '9223372036854775807',
    '9223372036854775808',
    '9223372036.854775807',
    '1e2147483648',
  ),
)

const timeText = fc
  .oneof(
    fc
      .date({ min: new Date('1960-01-01Z'), max: new Date('2300-01-01Z'), noInvalidDate: true })
      .map((date) => date.toISOString()),
    fc
      .tuple(
        fc.constantFrom(
          '2026-01-31',
          '2026-02-29',
          '2024-02-29',
          '1969-12-31',
          '2262-04-11',
          '2262-04-12',
          '0000-01-01',
          '2016-12-31',
          '9999-12-31',
        ),
        fc.constantFrom('T', 't', ' ', '_'),
        fc.constantFrom(
          '00:00:00',
          '23:59:60',
          '23:59:59',
          '24:00:00',
          '12:60:00',
          '22:59:60',
          '23:47:16',
          '1:02:03',
          '12:00',
        ),
        fc.oneof(
          fc.constantFrom('', '.', ','),
          digits(12).map((fraction) => `.${fraction}`),
        ),
        fc.constantFrom('Z', 'z', '', '+00:00', '-00:00', '+01:00', '-01:00', '+24:00', '+0100', 'Z ', ' Z', '+23:59'),
      )
      .map((parts) => parts.join('')),
    fc.constantFrom('yesterday', '', '2026', '2026-01-31', '1700000000', 'NOW', '\\u0032026-01-31T12:00:00Z'),
  )
  .map((text) => `"${text}"`)

const stringBody = fc.oneof(
  fc.string({ maxLength: 8 }).map((text) => JSON.stringify(text).slice(1, -1)),
  fc.string({ unit: 'binary', maxLength: 4 }).map((text) => JSON.stringify(text).slice(1, -1)),
  fc.constantFrom(
    '\\ud83d\\ude00',
    '\\u0000',
    '\\u0061',
    '\\/',
    '\u0080',
    '\u2028',
    '\\b\\f\\n\\r\\t',
    '\\ud800',
    '\\uD83D',
  ),
)

const noStringBody = fc.constantFrom('\\x', '\\u12', '\t', '\\', '"')

const key = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c', 'a.b', 'temperature', 'ts', 'time', 'timestamp', 'values') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      '_x',
      '__proto__',
      'constructor',
      '\\u0061',
      'a\\u002eb',
      'a\\"b',
      'é',
      '\\u00e9',
      'Time',
      '.',
    ),
  },
  { weight: 1, arbitrary: stringBody },
)

const space = fc.oneof(
  { weight: 60, arbitrary: fc.constantFrom('', '', ' ', '\n\t', '\r') },
  { weight: 1, arbitrary: fc.constantFrom('\u00a0', '\f', '\ufeff') },
)

const scalar = fc.oneof(
  { weight: 20, arbitrary: number },
  { weight: 10, arbitrary: fc.constantFrom('true', 'false', 'null') },
  { weight: 10, arbitrary: stringBody.map((body) => `"${body}"`) },
  { weight: 1, arbitrary: noStringBody.map((body) => `"${body}"`) },
  { weight: 1, arbitrary: noNumber },
  { weight: 1, arbitrary: fc.constantFrom('tru', 'True', 'undefined', "'x'", '', 'nul') },
)

const { value } = fc.letrec<{ value: string; object: string; array: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 6, arbitrary: scalar },
    { weight: 3, arbitrary: tie('object') },
    { weight: 1, arbitrary: tie('array') },
  ),
  object: fc
    .array(
      fc.tuple(
        key,
        space,
        fc.oneof({ weight: 5, arbitrary: tie('value') }, { weight: 1, arbitrary: timeNumber }),
        space,
      ),
      { maxLength: 5 },
    )
    .map((members) => `{${members.map(([name, a, one, b]) => `${a}"${name}"${b}:${a}${one}${b}`).join(',')}}`),
  array: fc.array(tie('value'), { maxLength: 3 }).map((elements) => `[${elements.join(',')}]`),
}))

const member = fc.tuple(key, space, value).map(([name, a, one]) => `"${name}":${a}${one}`)

const object = fc.array(member, { minLength: 1, maxLength: 5 }).map((members) => `{${members.join(', ')}}`)

const timed = fc
  .tuple(
    fc.constantFrom('ts', 'time', 'timestamp', 't\\u0073'),
    fc.oneof(timeNumber, timeText, scalar),
    fc.oneof(object, scalar),
  )
  .map(([name, time, one]) => `{"${name}":${time},"values":${one}}`)

const reading = fc.oneof(
  { weight: 1, arbitrary: value },
  { weight: 5, arbitrary: object },
  { weight: 5, arbitrary: timed },
)

const text = fc.oneof(
  { weight: 3, arbitrary: reading },
  { weight: 2, arbitrary: fc.array(reading, { maxLength: 4 }).map((readings) => `[${readings.join(', ')}]`) },
  {
    weight: 1,
    arbitrary: fc.string({ unit: fc.constantFrom(...'{}[]":,0123456789.eE-+\\utrfalsn \n'), maxLength: 20 }),
  },
)

/** A payload: well-made, cut, or with some bytes changed. */
export const payload: fc.Arbitrary<Buffer> = fc
  .tuple(
    text.map((one) => Buffer.from(one)),
    fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]":,0 \\'))), fc.nat(2)), {
      maxLength: 2,
    }),
    fc.nat(3),
  )
  .map(([bytes, changes, changed]) => (changed === 0 ? changes.reduce(change, bytes) : bytes))

function change(bytes: Buffer, [where, byte, how]: readonly [number, number, number]): Buffer {
  const at = where % (bytes.length + 1)
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  if (how === 0) return Buffer.concat([before, Buffer.of(byte), after])
  if (how === 1) return Buffer.concat([before, after.subarray(1)])
  return Buffer.concat([before, Buffer.of(byte), after.subarray(1)])
}
