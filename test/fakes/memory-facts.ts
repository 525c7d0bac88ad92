import type { FactChange, Facts } from '../../shared/registry/facts-port.ts'

/** What the processes of one installation agree on. */
export class MemoryFacts implements Facts {
  readonly all = new Map<string, string>()

  async get(name: string): Promise<string | undefined> {
    return this.all.get(name)
  }

  async keep(name: string, value: string): Promise<string> {
    const kept = this.all.get(name) ?? value
    this.all.set(name, kept)
    return kept
  }

  async put(name: string, value: string): Promise<void> {
    this.all.set(name, value)
  }

  async change<T>(name: string, change: FactChange<T>): Promise<T> {
    const { say, result } = change(this.all.get(name), Date.now())
    if (say !== undefined) this.all.set(name, say)
    return result
  }
}
