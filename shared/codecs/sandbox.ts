import quickjs from '@jitl/quickjs-wasmfile-release-sync'
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSSyncVariant,
  type QuickJSWASMModule,
} from 'quickjs-emscripten-core'
import { BEFORE_CODEC, FIND_FORM, NO_FORM } from './sandbox-code.ts'

/** The types of the package are those of CommonJS, where the variant would be a property; ECMAScript gets it itself. */
const variant = quickjs as unknown as QuickJSSyncVariant

interface Memory {
  readonly buffer: ArrayBuffer
}

/** What is used of it: the types of Node leave it to those of browsers. */
declare const WebAssembly: {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => Memory
}

/** Pages of 64 KiB that the engine asks for at its start; it grows to the second at most. */
const MEMORY_PAGES = { initial: 256, maximum: 1024 }
/** Bytes that a codec and what it makes of one message may have. */
const MEMORY_BYTES = 8 * 1024 * 1024
const STACK_BYTES = 192 * 1024
/** Calls of the interrupt handler: the engine calls it each 10,000 branches and calls, so one message has ten million. */
const MAX_INTERRUPTS = 1_000
const MAX_DETAIL_CHARACTERS = 500
/** How much of the memory is looked at in one go for whether there is anything in it. */
const BLOCK = 4_096

/** The time that everything has which is asked for it in this thread, in ms. */
let clockMs = 0

/**
 * Gives this thread a clock that stands, in UTC: the engine asks the thread that it runs in. Only for a thread that does
 * nothing but run codecs.
 */
export function stopTheClock(): void {
  const Real = Date
  class StoppedDate extends Real {
    constructor(...parts: unknown[]) {
      if (parts.length === 0) super(clockMs)
      else if (parts.length === 1) super(parts[0] as number)
      else super(Real.UTC(...(parts as [number])))
    }
    static override now(): number {
      return clockMs
    }
    override getTimezoneOffset(): number {
      return 0
    }
  }
  const utc = StoppedDate.prototype as unknown as Record<string, unknown>
  for (const part of ['FullYear', 'Month', 'Date', 'Day', 'Hours', 'Minutes', 'Seconds', 'Milliseconds']) {
    utc[`get${part}`] = Reflect.get(Real.prototype, `getUTC${part}`)
  }
  globalThis.Date = StoppedDate as DateConstructor
}

/** A part of the memory as it was. */
interface Block {
  readonly at: number
  readonly bytes: Uint8Array
}

/**
 * One codec in an engine of its own. Before each message the memory of the engine is what it was right after the codec was
 * read, byte by byte: nothing of a message is there when the next one is decoded, and equal messages give equal answers.
 */
export class Sandbox {
  readonly #context: QuickJSContext
  readonly #memory: Memory
  readonly #blocks: readonly Block[]
  readonly #parts: readonly [run: QuickJSHandle, form: QuickJSHandle, codec: QuickJSHandle]
  #interrupts = 0

  /** The codec, or what is wrong with it and in which line. */
  static async open(source: string): Promise<Sandbox | string> {
    const wasmMemory = new WebAssembly.Memory(MEMORY_PAGES)
    const engine = await newQuickJSWASMModuleFromVariant(newVariant(variant, { wasmMemory }))
    clockMs = 0
    try {
      return new Sandbox(engine, wasmMemory, source)
    } catch (error) {
      if (error instanceof SourceError) return error.message
      return `it cannot be read: ${error instanceof Error ? error.message : String(error)}`
    }
  }

  private constructor(engine: QuickJSWASMModule, memory: Memory, source: string) {
    const runtime = engine.newRuntime({ memoryLimitBytes: MEMORY_BYTES, maxStackSizeBytes: STACK_BYTES })
    runtime.setInterruptHandler(() => (this.#interrupts += 1) > MAX_INTERRUPTS)
    this.#memory = memory
    this.#context = runtime.newContext()
    const run = this.#evaluate(BEFORE_CODEC, 'sluice.js')
    this.#evaluate(source, 'codec.js')
    const found = this.#evaluate(FIND_FORM, 'sluice.js')
    if (this.#context.typeof(found) !== 'object') throw new SourceError(NO_FORM)
    this.#parts = [run, this.#context.getProp(found, 0), this.#context.getProp(found, 1)]
    this.#blocks = blocksOf(memory)
  }

  /**
   * What the codec makes of an input (JSON): `D` and JSON, `E` and what was wrong, `L` and the limit that was met. Throws when
   * the engine itself is at its end: it is of no use any more then.
   */
  run(input: string, nowMs: number): string {
    const memory = new Uint8Array(this.#memory.buffer)
    for (const { at, bytes } of this.#blocks) memory.set(bytes, at)
    clockMs = nowMs
    this.#interrupts = 0
    const context = this.#context
    const [run, form, codec] = this.#parts
    const result = context.callFunction(run, context.undefined, form, codec, context.newString(input))
    if (result.error === undefined) return context.getString(result.value)
    return this.#interrupts > MAX_INTERRUPTS ? 'Lit does not come to an end' : 'Lit has no memory left'
  }

  #evaluate(code: string, file: string): QuickJSHandle {
    this.#interrupts = 0
    const result = this.#context.evalCode(code, file)
    if (result.error === undefined) return result.value
    if (this.#interrupts > MAX_INTERRUPTS) throw new SourceError('it does not come to an end')
    throw new SourceError(describe(this.#context.dump(result.error)))
  }
}

class SourceError extends Error {}

function describe(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null) return String(thrown).slice(0, MAX_DETAIL_CHARACTERS)
  const { name, message, stack } = thrown as Record<string, unknown>
  const [, line] = /codec\.js:(\d+)/.exec(String(stack)) ?? []
  const where = line === undefined ? '' : `line ${line}: `
  return `${where}${String(name)}: ${String(message)}`.slice(0, MAX_DETAIL_CHARACTERS)
}

/** All of the memory that holds anything. */
function blocksOf({ buffer }: Memory): Block[] {
  const blocks: Block[] = []
  const words = new BigUint64Array(buffer)
  const wordsOfBlock = BLOCK / 8
  for (let at = 0; at < buffer.byteLength; at += BLOCK) {
    const from = at / 8
    if (!words.subarray(from, from + wordsOfBlock).some((word) => word !== 0n)) continue
    blocks.push({ at, bytes: new Uint8Array(buffer.slice(at, at + BLOCK)) })
  }
  return blocks
}
