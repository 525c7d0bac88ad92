import { join } from 'node:path'
import { startLineProcess, type LineProcess } from '../../../line-process.ts'
import { hasPaho } from '../listener-clients.ts'
import type { Version } from '../../../mqtt/packets.ts'
import type { Way } from '../../../mqtt/way.ts'
import type { ConnectOptions, Qos, Stack, TestClient } from './test-client.ts'

const DRIVER = join(import.meta.dirname, 'paho_driver.py')

export const pahoPython: Stack = {
  name: 'paho for Python',
  isThere: hasPaho,
  hint: ' (pip install "paho-mqtt>=2")',
  start(version) {
    const driver = new Driver(startLineProcess(['python3', DRIVER]))
    let clients = 0
    return () => new PahoClient(driver, String((clients += 1)), version)
  },
}

interface Line {
  readonly id?: number
  readonly ok?: unknown
  readonly error?: string
  readonly client?: string
  readonly message?: string
}

/** One process for all clients of a test. One command at a time: lines passed over while waiting are messages. */
class Driver {
  readonly #process: LineProcess
  #last: Promise<unknown> = Promise.resolve()
  #commands = 0

  constructor(process: LineProcess) {
    this.#process = process
  }

  ask(client: string, action: string, options: object): Promise<unknown> {
    const answer = this.#last.then(() => this.#ask(client, action, options))
    // Whether it failed is for who asked.
    this.#last = Promise.allSettled([answer])
    return answer
  }

  messagesOf(name: string): readonly string[] {
    return this.#process.lines
      .map((line) => JSON.parse(line) as Line)
      .flatMap(({ client, message }) => (client === name && message !== undefined ? [message] : []))
  }

  async #ask(client: string, action: string, options: object): Promise<unknown> {
    const id = (this.#commands += 1)
    this.#process.send(JSON.stringify({ id, client, do: action, with: options }))
    const { ok, error } = JSON.parse(await this.#process.next(new RegExp(`^\\{"id": ${id},`))) as Line
    if (error !== undefined) throw new Error(error)
    return ok
  }
}

class PahoClient implements TestClient {
  readonly #driver: Driver
  readonly #name: string
  readonly #version: Version

  constructor(driver: Driver, name: string, version: Version) {
    this.#driver = driver
    this.#name = name
    this.#version = version
  }

  get messages(): readonly string[] {
    return this.#driver.messagesOf(this.#name)
  }

  async connect(way: Way, { clientId, clean = true, keepalive = 60, will }: ConnectOptions): Promise<boolean> {
    const options = { clientId, clean, keepalive, will: will ?? null, version: this.#version }
    return (await this.#ask('connect', { way, ...options })) === true
  }

  async subscribe(...filters: readonly [string, Qos][]): Promise<readonly number[]> {
    return (await this.#ask('subscribe', { filters })) as number[]
  }

  async unsubscribe(filter: string): Promise<void> {
    await this.#ask('unsubscribe', { filter })
  }

  async publish(topic: string, payload: string, qos: Qos, retain = false): Promise<void> {
    await this.#ask('publish', { topic, payload, qos, retain })
  }

  async mute(): Promise<void> {
    await this.#ask('mute', {})
  }

  async silence(): Promise<void> {
    await this.#ask('silence', {})
  }

  async drop(): Promise<void> {
    await this.#ask('drop', {})
  }

  async disconnect(): Promise<void> {
    await this.#ask('disconnect', {})
  }

  #ask(action: string, options: object): Promise<unknown> {
    return this.#driver.ask(this.#name, action, options)
  }
}
