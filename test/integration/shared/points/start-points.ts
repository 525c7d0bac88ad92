import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const PROGRAM = fileURLToPath(new URL('./points-process.ts', import.meta.url))

export interface PointsProcess {
  readonly pid: number
  /** Every line so far. */
  readonly lines: readonly string[]
  send(line: string): void
  /** The next line that matches; lines before it are passed over. Rejects when the process has ended. */
  next(pattern: RegExp): Promise<string>
  kill(): Promise<void>
}

interface StartOptions {
  readonly sealAfterPoints?: number
  readonly variant?: 'early'
  /** Turns the command line into that of a program that starts it. */
  readonly wrap?: (command: string[]) => string[]
}

/** Starts points-process.ts on a folder; killed with the test. */
export function startPoints(folder: string, options: StartOptions = {}): PointsProcess {
  const { sealAfterPoints = 1000, variant = 'plain', wrap = (command) => command } = options
  const [command = '', ...args] = wrap([process.execPath, PROGRAM, folder, String(sealAfterPoints), variant])
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'close')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  onTestFinished(kill)
  const lines: string[] = []
  let isOver = false
  let seen = 0
  let wake = (): void => {}
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
    kill,
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
  }
}
