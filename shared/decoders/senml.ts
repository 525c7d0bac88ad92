import type { JsonReading } from './json-reading.ts'
import type { JsonScanner } from './json-scanner.ts'
import type { Member } from './json-shapes.ts'
import { quote, stringAt } from './json-text.ts'

/** Times below this are relative to now, which is the receive time (RFC 8428, 4.5.3): 2^28 seconds. */
const FIRST_ABSOLUTE_NS = 2n ** 28n * 1_000_000_000n
/** Seconds have fewer digits: whoever writes more means milliseconds, or less. */
const FIRST_OTHER_UNIT_NS = 10n ** 20n
const MAX_DIGITS = 40

const OBJECT = 0x7b
const QUOTE = 0x22
const ZERO = 0x30

/**
 * Resolves the records of a SenML pack (RFC 8428) into readings, one after the other: base fields hold for the record that
 * has them and for all behind it. Units are not kept; labels that are not known are passed over, but for those that end in `_`
 * (4.4).
 */
export class Senml {
  readonly #scanner: JsonScanner
  readonly #reading: JsonReading
  #baseName = ''
  #baseTime = 0n
  #baseValue: number | undefined
  #baseSum: number | undefined

  constructor(scanner: JsonScanner, reading: JsonReading) {
    this.#scanner = scanner
    this.#reading = reading
  }

  /** A new pack begins. */
  begin(): void {
    this.#baseName = ''
    this.#baseTime = 0n
    this.#baseValue = undefined
    this.#baseSum = undefined
  }

  /**
   * Reads the record at `position` as a reading that was received at `received` nanoseconds; behind it. `isEmpty` when it
   * only holds base fields.
   */
  read(position: number, element: number, received: bigint): { end: number; isEmpty: boolean } {
    const reading = this.#reading
    reading.begin(element)
    if (this.#scanner.buffer[position] !== OBJECT) {
      return { end: reading.reject('reading_not_object', 'the record is not an object'), isEmpty: false }
    }
    const members = reading.shapes.members(position)
    if (members === undefined) return { end: this.#scanner.skip(position), isEmpty: true }
    const { end } = reading.shapes
    const unknown = members.find(({ key }) => key.endsWith('_'))
    if (unknown !== undefined) {
      const detail = `the label ${quote(unknown.key)} has to be understood, and is not known`
      return { end: reading.reject('payload_not_as_declared', detail), isEmpty: false }
    }
    const of = (key: string) => members.find((one) => one.key === key)
    this.#baseName = this.#text(of('bn')) ?? this.#baseName
    this.#baseTime = this.#time(of('bt')) ?? this.#baseTime
    this.#baseValue = this.#number(of('bv')) ?? this.#baseValue
    this.#baseSum = this.#number(of('bs')) ?? this.#baseSum
    const name = this.#baseName + (this.#text(of('n')) ?? '')
    const value = of('v') ?? of('vs') ?? of('vb') ?? of('vd')
    const sum = of('s')
    if (value === undefined && sum === undefined) return { end, isEmpty: true }
    if (value !== undefined) this.#put(value, name, value.key === 'v' ? this.#baseValue : undefined)
    if (sum !== undefined) this.#put(sum, `${name}.s`, this.#baseSum)
    const time = this.#baseTime + (this.#time(of('t')) ?? 0n)
    if (time !== 0n) reading.time.set(time < FIRST_ABSOLUTE_NS ? received + time : scaled(time), 't')
    return { end: reading.settle(end), isEmpty: false }
  }

  /** Without a base a number is kept as it was written. */
  #put({ at, key }: Member, name: string, base: number | undefined): void {
    const own = base === undefined ? undefined : this.#number({ at, key })
    if (own === undefined || base === undefined) this.#reading.value(at, name)
    else if (Number.isFinite(base + own)) this.#reading.put(base + own, name)
    else this.#reading.note(name, 'value_out_of_range', `${base} and ${own} together are beyond a 64-bit float`)
  }

  #text(member: Member | undefined): string | undefined {
    const scanner = this.#scanner
    if (member === undefined || scanner.buffer[member.at] !== QUOTE) return undefined
    return stringAt(scanner, member.at)
  }

  #digits(member: Member | undefined): string | undefined {
    const first = member === undefined ? 0 : (this.#scanner.buffer[member.at] ?? 0)
    if (member === undefined || (first !== 0x2d && !(first >= ZERO && first <= 0x39))) return undefined
    return this.#scanner.text(member.at, this.#scanner.number(member.at))
  }

  #number(member: Member | undefined): number | undefined {
    const value = Number(this.#digits(member))
    return Number.isFinite(value) ? value : undefined
  }

  #time(member: Member | undefined): bigint | undefined {
    const digits = this.#digits(member)
    return digits === undefined ? undefined : nanoseconds(digits)
  }
}

/** Seconds as they are written, exactly; what lies below a nanosecond is cut. Undefined beyond any time. */
function nanoseconds(text: string): bigint | undefined {
  const [, sign, whole = '', fraction = '', power = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text) ?? []
  if (whole.length + fraction.length > MAX_DIGITS || Math.abs(Number(power)) > MAX_DIGITS) return undefined
  const shift = Number(power) - fraction.length + 9
  const digits = BigInt(whole + fraction)
  const size = shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift)
  return sign === '-' ? -size : size
}

function scaled(time: bigint): bigint {
  let result = time
  while (result >= FIRST_OTHER_UNIT_NS) result /= 1000n
  return result
}
