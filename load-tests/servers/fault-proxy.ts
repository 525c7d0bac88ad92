import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the proxy does with a request instead of passing it on. */
export type Fault =
  /** Answers itself; the server behind never sees the request. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers?: Record<string, string>
      readonly body?: string
    }
  /** Holds the request, and passes it on when the fault ends. */
  | { readonly kind: 'stall' }
  /** Passes the request on and keeps the answer until the fault ends: done, but nobody knows yet. */
  | { readonly kind: 'withhold' }
  /** Passes the request on and drops the connection when the answer comes: done, but nobody knows. */
  | { readonly kind: 'drop-answer' }
  /** Passes on so many bytes of the answer's body, and drops the connection. */
  | { readonly kind: 'cut-answer'; readonly bytes: number }
  /** Refuses bodies above a size with 413, as proxies do. */
  | { readonly kind: 'limit'; readonly bytes: number }

export interface FaultProxy {
  readonly url: string
  /** Starts a fault, for requests whose path contains `path` and the first `times` of them; ends the one before. */
  fail(fault: Fault, only?: { readonly path?: string; readonly times?: number }): void
  /** Ends the fault; what it held goes on. */
  heal(): void
  /** Resolves when so many requests have met the fault since it was started. */
  met(count: number): Promise<void>
  /** Requests since the start, by path without its query. */
  readonly requests: ReadonlyMap<string, number>
  close(): Promise<void>
}

/** An HTTP proxy in front of a server that can be told to misbehave. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const proxy = new HttpFaults(new URL(target))
  const server = createServer((incoming, response) => void proxy.handle(incoming, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    fail: (fault, only) => proxy.fail(fault, only),
    heal: () => proxy.heal(),
    met: (count) => proxy.met(count),
    requests: proxy.requests,
    close: () => closeServer(server, proxy),
  }
}

/** The fault that a request met, and its end. */
interface Met {
  readonly fault: Fault | undefined
  readonly healed: Promise<void>
}

class HttpFaults {
  readonly requests = new Map<string, number>()
  readonly #target: URL
  #fault: Fault | undefined
  #path = ''
  #left = Infinity
  #met = 0
  #watchers: { count: number; resolve: () => void }[] = []
  #healed = Promise.withResolvers<void>()

  constructor(target: URL) {
    this.#target = target
  }

  fail(fault: Fault, { path = '', times = Infinity }: { path?: string; times?: number } = {}): void {
    this.heal()
    this.#fault = fault
    this.#path = path
    this.#left = times
    this.#met = 0
  }

  heal(): void {
    this.#fault = undefined
    this.#healed.resolve()
    this.#healed = Promise.withResolvers<void>()
  }

  async met(count: number): Promise<void> {
    if (this.#met >= count) return
    await new Promise<void>((resolve) => this.#watchers.push({ count, resolve }))
  }

  async handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = incoming.url ?? '/'
    const name = path.split('?')[0] ?? path
    this.requests.set(name, (this.requests.get(name) ?? 0) + 1)
    const body = await readBody(incoming)
    const fault = this.#faultFor(path, body)
    if (fault?.kind === 'answer') {
      response.writeHead(fault.status, fault.headers).end(fault.body)
      return
    }
    if (fault?.kind === 'limit') {
      response.writeHead(413, { 'content-type': 'text/html' }).end('<h1>413 Request Entity Too Large</h1>')
      return
    }
    // The end of this fault, which may come before the answer does.
    const healed = this.#healed.promise
    if (fault?.kind === 'stall') await healed
    if (!response.destroyed) this.#forward(incoming, body, response, { fault, healed })
  }

  #faultFor(path: string, body: Buffer): Fault | undefined {
    const fault = this.#fault
    if (fault === undefined || !path.includes(this.#path) || this.#left <= 0) return undefined
    if (fault.kind === 'limit' && body.length <= fault.bytes) return undefined
    this.#left--
    this.#met++
    for (const { count, resolve } of this.#watchers) if (this.#met >= count) resolve()
    this.#watchers = this.#watchers.filter(({ count }) => this.#met < count)
    return fault
  }

  #forward(incoming: IncomingMessage, body: Buffer, response: ServerResponse, met: Met): void {
    const { hostname, port } = this.#target
    const { method, url: path, headers } = incoming
    const outgoing = request({ hostname, port, method, path, headers, agent: false }, (answer) => {
      if (met.fault?.kind === 'drop-answer') {
        answer.resume()
        answer.once('end', () => response.destroy())
        return
      }
      void pass(answer, response, met)
    })
    // The server is gone: so is the connection to it.
    outgoing.once('error', () => response.destroy())
    response.once('close', () => outgoing.destroy())
    outgoing.end(body)
  }
}

async function pass(answer: IncomingMessage, response: ServerResponse, { fault, healed }: Met): Promise<void> {
  if (fault?.kind === 'withhold') await healed
  if (response.destroyed) return
  response.writeHead(answer.statusCode ?? 502, answer.headers)
  if (fault?.kind === 'cut-answer') await cut(answer, response, fault.bytes)
  else answer.pipe(response)
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

async function cut(answer: IncomingMessage, response: ServerResponse, bytes: number): Promise<void> {
  const body = await readBody(answer)
  response.write(body.subarray(0, bytes), () => response.destroy())
}

async function closeServer(server: Server, proxy: HttpFaults): Promise<void> {
  proxy.heal()
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
