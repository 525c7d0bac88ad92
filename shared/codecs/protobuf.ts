import {
  createFileRegistry,
  fromBinary,
  ScalarType,
  type DescField,
  type DescMessage,
  type FileRegistry,
} from '@bufbuild/protobuf'
import { reflect, type ReflectMessage } from '@bufbuild/protobuf/reflect'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { JsonText } from '../decoders/json-text-writer.ts'
import type { PayloadDecoder } from '../decoders/payload-decoder.ts'
import { faultOfRecord, type Fault } from '../faults.ts'
import type { DecoderDefinition } from '../registry/decoders-port.ts'

/** Bytes of a payload: one of them may become an object of some hundred bytes. */
const MAX_PAYLOAD_BYTES = 512 * 1024
const MAX_DEPTH = 32
/** Of the names of messages in an error. */
const MAX_NAMES = 20

const TIMESTAMP = 'google.protobuf.Timestamp'
const DURATION = 'google.protobuf.Duration'
/** Messages that stand for the value in them. */
const WRAPPERS = /^google\.protobuf\.(Double|Float|Int64|UInt64|Int32|UInt32|Bool|String|Bytes)Value$/
/** The value of `field_presence` where zero is not told from nothing, see FeatureSet in descriptor.proto. */
const IMPLICIT = 2

/**
 * A decoder of the message that the definition names, or what is wrong with the definition. What fields without presence
 * hold is written when it is zero, too, unless the option `zeros` says otherwise: on the wire it looks like nothing.
 */
export async function openProtobuf({ content, options }: DecoderDefinition): Promise<PayloadDecoder | string> {
  const { message: name, zeros = 'keep', ...others } = options
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) return `there is no option ${unknown}: there are message and zeros (keep, leave_out)`
  if (zeros !== 'keep' && zeros !== 'leave_out') return `the option zeros is keep or leave_out`
  let registry: FileRegistry
  try {
    registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(content, 'base64')))
  } catch (error) {
    return `no FileDescriptorSet with all that it imports (protoc --include_imports --descriptor_set_out): ${textOf(error)}`
  }
  const message = typeof name === 'string' ? registry.getMessage(name) : undefined
  if (message === undefined) {
    const names = [...registry].flatMap((one) => (one.kind === 'message' ? one.typeName : [])).slice(0, MAX_NAMES)
    return `the option message is ${JSON.stringify(name)}: there are ${names.join(', ') || 'none'}`
  }
  return new ProtobufDecoder(message, zeros === 'keep')
}

class ProtobufDecoder implements PayloadDecoder {
  readonly #message: DescMessage
  readonly #keepsZeros: boolean

  constructor(message: DescMessage, keepsZeros: boolean) {
    this.#message = message
    this.#keepsZeros = keepsZeros
  }

  read(payload: Uint8Array, { policy }: Parameters<PayloadDecoder['read']>[1]): Uint8Array | Fault {
    if (payload.length > MAX_PAYLOAD_BYTES) return other(`more than ${MAX_PAYLOAD_BYTES} bytes`)
    const text = new JsonText(policy.bytes)
    try {
      const message = fromBinary(this.#message, payload, { readUnknownFields: false, recursionLimit: MAX_DEPTH })
      this.#object(reflect(this.#message, message), text)
    } catch (error) {
      return other(`${this.#message.typeName}: ${textOf(error)}`)
    }
    return text.isFull ? other('it becomes too much text') : text.toBytes()
  }

  #object(message: ReflectMessage, text: JsonText): void {
    text.beginObject()
    for (const field of message.fields) {
      if (!message.isSet(field) && !this.#isZero(field)) continue
      text.key(field.name)
      this.#field(message, field, text)
    }
    text.endObject()
  }

  /** A number, a boolean or a name of an enumeration that is what it is when nothing is sent. */
  #isZero(field: DescField): boolean {
    if (!this.#keepsZeros || Number(field.presence) !== IMPLICIT) return false
    if (field.fieldKind === 'enum') return true
    return field.fieldKind === 'scalar' && field.scalar !== ScalarType.STRING && field.scalar !== ScalarType.BYTES
  }

  #field(message: ReflectMessage, field: DescField, text: JsonText): void {
    if (field.fieldKind === 'list') {
      text.beginArray()
      for (const one of message.get(field)) this.#value(field, one, text)
      text.endArray()
    } else if (field.fieldKind === 'map') {
      text.beginObject()
      for (const [key, one] of message.get(field)) {
        text.key(String(key))
        this.#value(field, one, text)
      }
      text.endObject()
    } else this.#value(field, message.get(field), text)
  }

  #value(field: DescField, value: unknown, text: JsonText): void {
    if (isReflected(value)) return this.#nested(value, text)
    if (typeof value === 'boolean') return text.boolean(value)
    if (typeof value === 'bigint') return text.integer(value)
    if (typeof value === 'string') return text.string(value)
    if (value instanceof Uint8Array) return text.bytes(value)
    const number = Number(value)
    if (field.enum !== undefined) {
      const name = field.enum.value[number]?.name
      return name === undefined ? text.integer(number) : text.string(name)
    }
    const isReal = field.scalar === ScalarType.DOUBLE || field.scalar === ScalarType.FLOAT
    return isReal ? text.number(number) : text.integer(number)
  }

  #nested(message: ReflectMessage, text: JsonText): void {
    const { typeName, fields } = message.desc
    const [first, second] = fields
    if (WRAPPERS.test(typeName) && first !== undefined) return this.#value(first, message.get(first), text)
    const isTime = typeName === TIMESTAMP
    if ((!isTime && typeName !== DURATION) || first === undefined || second === undefined) {
      return this.#object(message, text)
    }
    const seconds = Number(message.get(first))
    const nanos = Number(message.get(second))
    if (!isTime) return text.number(seconds + nanos / 1e9)
    // Beyond the years that JSON can say it is the number of seconds, which no policy takes for a time.
    if (Math.abs(seconds) > 8e12 || nanos < 0 || nanos > 999_999_999) return text.integer(seconds)
    return text.time({ ms: seconds * 1_000 + Math.floor(nanos / 1e6), ns: nanos % 1e6 })
  }
}

function isReflected(value: unknown): value is ReflectMessage {
  return typeof value === 'object' && value !== null && 'desc' in value && 'fields' in value
}

function other(detail: string): Fault {
  return faultOfRecord('payload_not_as_declared', detail)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
