import { fileURLToPath } from 'node:url'
import { startLineProcess, type LineProcess } from '../../line-process.ts'

const PROGRAM = fileURLToPath(new URL('./points-process.ts', import.meta.url))

interface StartOptions {
  readonly sealAfterPoints?: number
  readonly variant?: 'early'
  /** Turns the command line into that of a program that starts it. */
  readonly wrap?: (command: string[]) => string[]
}

/** Starts points-process.ts on a folder; killed with the test. */
export function startPoints(folder: string, options: StartOptions = {}): LineProcess {
  const { sealAfterPoints = 1000, variant = 'plain', wrap = (command) => command } = options
  return startLineProcess(wrap([process.execPath, PROGRAM, folder, String(sealAfterPoints), variant]))
}
