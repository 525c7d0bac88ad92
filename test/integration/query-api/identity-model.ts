import * as fc from 'fast-check'

/** What may happen to devices of one tenant; `value` tells a reading from all others. */
export type Step =
  | { readonly kind: 'make' | 'remove' | 'publish'; readonly device: string }
  | { readonly kind: 'rename'; readonly device: string; readonly to: string }
  | { readonly kind: 'adopt'; readonly device: string; readonly history: string }

const NAMES = ['a', 'b', 'c']
const name = fc.constantFrom(...NAMES)

/** Half of the steps publish: what is told apart is what was stored. */
export const histories = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('publish' as const), device: name }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('make' as const), device: name }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), device: name }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('rename' as const), device: name, to: name }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('adopt' as const), device: name, history: name }) },
  ),
  { minLength: 5, maxLength: 30 },
)

interface Held {
  /** The name that it is stored under; undefined for a random uid. */
  readonly stored: string | undefined
  readonly values: number[]
}

/** Devices as people think of them: things that have names for a time. */
export class Model {
  readonly devices = new Map<string, Held>()
  readonly #former = new Map<string, Held>()
  /** Removed, with the last name of each; the newest last. */
  #removed: { name: string; it: Held }[] = []
  readonly #issued = new Set<string>()
  #value = 0

  /** The code of the answer, and the value of a reading. */
  apply(step: Step): { readonly code: string; readonly value: number } {
    return { code: this.#apply(step), value: this.#value }
  }

  #apply(step: Step): string {
    const { kind, device } = step
    const it = this.devices.get(device)
    if (kind === 'publish') {
      this.#value += 1
      const to = it ?? this.#former.get(device) ?? this.#live().find(({ stored }) => stored === device)
      to?.values.push(this.#value)
      return to === undefined ? 'device_unknown' : 'done'
    }
    if (kind === 'adopt') return this.#adopt(device, step.history)
    if (kind === 'make') return it === undefined ? this.#make(device) : 'already_exists'
    if (kind === 'rename') return this.#rename(device, step.to)
    if (it === undefined) return 'not_found'
    this.devices.delete(device)
    this.#forget(it)
    this.#removed.push({ name: device, it })
    return 'done'
  }

  #make(device: string): string {
    const stored = this.#issued.has(device) ? undefined : device
    this.#issued.add(device)
    this.#call(device, { stored, values: [] })
    return 'done'
  }

  #adopt(device: string, history: string): string {
    const found = this.#removed.findLast(({ name, it }) => name === history && !this.#live().includes(it))
    const stored = this.#removed.findLast(({ it }) => it.stored === history && !this.#live().includes(it))
    const it = (found ?? stored)?.it
    const isHeld = this.#live().some((one) => one.stored === history)
    if (it === undefined) return isHeld ? 'already_exists' : 'not_found'
    if (this.devices.has(device)) return 'already_exists'
    this.#removed = this.#removed.filter((one) => one.it !== it)
    this.#call(device, it)
    return 'done'
  }

  #rename(device: string, to: string): string {
    if (device === to) return 'already_exists'
    const it = this.devices.get(device)
    if (it === undefined) return 'not_found'
    if (this.devices.has(to)) return 'already_exists'
    this.devices.delete(device)
    this.#call(to, it)
    this.#former.set(device, it)
    return 'done'
  }

  #call(name: string, it: Held): void {
    this.devices.set(name, it)
    this.#former.delete(name)
  }

  #forget(it: Held): void {
    for (const [name, other] of this.#former) if (other === it) this.#former.delete(name)
  }

  #live(): Held[] {
    return [...this.devices.values()]
  }
}
