import type { Host } from './session.ts'

/** Without a terminal a line stays, so fewer of them. */
const EVERY_MS = { terminal: 250, plain: 5_000 }

/** One line on stderr that says how far a long command is: written over on a terminal, now and then elsewhere. */
export class ProgressLine {
  readonly #host: Host
  #nextAt: number
  #shown = false

  constructor(host: Host) {
    this.#host = host
    this.#nextAt = performance.now() + this.#pauseMs
  }

  get #pauseMs(): number {
    return this.#host.isTerminal ? EVERY_MS.terminal : EVERY_MS.plain
  }

  /** `text` is only made when it is shown: when it is time for it, or at once when it is `news`. */
  show(text: () => string, news = false): void {
    const now = performance.now()
    if (now < this.#nextAt && !news) return
    this.#nextAt = now + this.#pauseMs
    this.#host.stderr(this.#host.isTerminal ? `\r\u001b[K${text()}` : `${text()}\n`)
    this.#shown = true
  }

  /** Makes room for what is written next. */
  end(): void {
    if (this.#shown && this.#host.isTerminal) this.#host.stderr('\r\u001b[K')
    this.#shown = false
  }
}
