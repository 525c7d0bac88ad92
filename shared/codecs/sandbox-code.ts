/** Characters of what a codec gives. */
export const MAX_OUTPUT_CHARACTERS = 1024 * 1024
const MAX_DETAIL_CHARACTERS = 500

/**
 * Runs in the sandbox before a codec does: takes away what would differ from one run to the next, gives what codecs of
 * vendors expect to be there, and keeps what it needs itself out of their reach.
 */
export const BEFORE_CODEC = `(function () {
  'use strict'
  const { parse, stringify } = JSON
  const { isArray } = Array
  const { hasOwn, getPrototypeOf } = Object
  const ObjectPrototype = Object.prototype
  const slice = Function.prototype.call.bind(String.prototype.slice)
  const text = String
  const number = Number
  const isSafeInteger = Number.isSafeInteger
  const FixedDate = Date
  const EngineError = InternalError
  delete Math.random
  const silent = () => {}
  globalThis.console = { log: silent, info: silent, warn: silent, error: silent, debug: silent, trace: silent }
  globalThis.exports = {}
  globalThis.module = { exports }
  const plain = (key, value) => {
    if (typeof value === 'bigint') return isSafeInteger(number(value)) ? number(value) : text(value)
    return value
  }
  const told = (error) => {
    try {
      if (error instanceof EngineError) return 'L' + slice(text(error.message), 0, ${MAX_DETAIL_CHARACTERS})
      if (typeof error !== 'object' || error === null) return 'E' + slice(text(error), 0, ${MAX_DETAIL_CHARACTERS})
      const where = typeof error.stack === 'string' ? slice(error.stack, 0, 200) : ''
      return 'E' + slice(text(error.name) + ': ' + text(error.message), 0, ${MAX_DETAIL_CHARACTERS}) + '\\n' + where
    } catch (another) {
      return 'Ewhat it threw cannot be shown'
    }
  }
  const call = (form, run, input) => {
    const { bytes, fPort, topic, stream } = input
    const recvTime = new FixedDate(input.recvMs)
    if (form === 'Decoder') return run(bytes, fPort)
    if (form === 'Decode') return run(fPort, bytes, {})
    if (form === 'decode') return run({ bytes, text: input.text, fPort, topic, stream, recvTime })
    const answer = run({ bytes, fPort, recvTime, variables: {} })
    if (typeof answer !== 'object' || answer === null) throw new TypeError('decodeUplink gave no object')
    if (typeof answer.then === 'function') return answer
    const { data, errors } = answer
    if (isArray(errors) && errors.length > 0) throw errors.length === 1 ? text(errors[0]) : stringify(errors)
    return data
  }
  const timed = (data, { time, timeKeys }) => {
    if (time === undefined || typeof data !== 'object' || data === null || getPrototypeOf(data) !== ObjectPrototype) return data
    for (let i = 0; i < timeKeys.length; i++) if (hasOwn(data, timeKeys[i])) return data
    return { [timeKeys[0]]: time, ...data }
  }
  return function (form, run, inputText) {
    try {
      const input = parse(inputText)
      const data = call(form, run, input)
      if (data === undefined) return 'Eit gave nothing'
      if (data !== null && typeof data === 'object' && typeof data.then === 'function') {
        return 'Eit gave a promise: a codec answers at once'
      }
      const out = stringify(timed(data, input), plain)
      if (typeof out !== 'string') return 'Eit gave what is no JSON'
      return out.length > ${MAX_OUTPUT_CHARACTERS} ? 'Loutput of ' + out.length + ' characters' : 'D' + out
    } catch (error) {
      return told(error)
    }
  }
})()`

/** What a codec may define, in the order in which it is looked for. */
const FORMS = ['decodeUplink', 'Decoder', 'Decode', 'decode'] as const
const look = (name: string): string =>
  `typeof ${name} === 'function' ? ${name} : typeof module.exports?.${name} === 'function' ? module.exports.${name} : exports.${name}`

/** Runs behind the codec: which functions it has. */
export const FIND_FORM = `[${FORMS.map((name) => `['${name}', ${look(name)}]`).join(', ')}].find(([, one]) => typeof one === 'function')`

export const NO_FORM = `it defines none of the functions ${FORMS.join(', ')}`
