import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

const PROGRAM = fileURLToPath(new URL('./append-process.ts', import.meta.url))

export interface LogProcess {
  readonly pid: number
  send(line: string): void
  /** The next line that matches; lines before it are passed over. Rejects when the process has ended. */
  next(pattern: RegExp): Promise<string>
  /** Every line so far. */
  readonly lines: readonly string[]
  kill(): Promise<void>
  /** Resolves when the process has ended by itself. */
  ended(): Promise<void>
}

/** Starts append-process.ts on a folder; `wrap` turns its command line into that of a program that starts it. */
export function startLogProcess(
  folder: string,
  options: { variant?: 'early'; bytes?: number; wrap?: (command: string[]) => string[] } = {},
): LogProcess {
  const plain = [process.execPath, PROGRAM, folder, String(options.bytes ?? 'none'), options.variant ?? 'plain']
  const [command = '', ...args] = options.wrap?.(plain) ?? plain
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'close')
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
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
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    async ended() {
      await exited
    },
  }
}
