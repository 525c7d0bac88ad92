import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

/** A process that is spoken to in lines, over stdin and stdout. */
export interface LineProcess {
  readonly pid: number
  /** Every line so far. */
  readonly lines: readonly string[]
  send(line: string): void
  /** The next line that matches; lines before it are passed over. Rejects when the process has ended. */
  next(pattern: RegExp): Promise<string>
  /** Kills it with SIGKILL and resolves when it is gone. */
  kill(): Promise<void>
  /** Resolves when the process has ended by itself, with its exit code. */
  ended(): Promise<number | null>
}

/** Starts a command; killed with the test. */
export function startLineProcess([command = '', ...args]: readonly string[]): LineProcess {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'close') as Promise<[number | null]>
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  onTestFinished(kill)
  const lines: string[] = []
  let isOver = false
  let wake = (): void => {}
  let seen = 0
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    wake()
  })
  child.stdin.on('error', () => (isOver = true)) // written to a killed process
  void exited.then(() => {
    isOver = true
    wake()
  })
  return {
    pid: child.pid ?? 0,
    lines,
    send: (line) => void child.stdin.write(`${line}\n`),
    async next(pattern) {
      for (;;) {
        for (let line = lines[seen]; line !== undefined; line = lines[seen]) {
          seen++
          if (pattern.test(line)) return line
        }
        if (isOver) throw new Error(`ended before ${String(pattern)}: ${lines.slice(-5).join(' | ')}`)
        await new Promise<void>((resolve) => (wake = resolve))
      }
    },
    kill,
    async ended() {
      return (await exited)[0]
    },
  }
}
