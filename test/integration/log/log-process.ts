import { fileURLToPath } from 'node:url'
import { startLineProcess, type LineProcess } from '../../line-process.ts'

const PROGRAM = fileURLToPath(new URL('./append-process.ts', import.meta.url))

/** Starts append-process.ts on a folder; `wrap` turns its command line into that of a program that starts it. */
export function startLogProcess(
  folder: string,
  options: { variant?: 'early'; bytes?: number; ageMs?: number; wrap?: (command: string[]) => string[] } = {},
): LineProcess {
  const { bytes = 'none', ageMs = 'none', variant = 'plain' } = options
  const plain = [process.execPath, PROGRAM, folder, String(bytes), variant, String(ageMs)]
  return startLineProcess(options.wrap?.(plain) ?? plain)
}
