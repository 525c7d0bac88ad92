import { fileURLToPath } from 'node:url'
import { startLineProcess, type LineProcess } from '../../line-process.ts'

const PROGRAM = fileURLToPath(new URL('./append-process.ts', import.meta.url))

/** Starts append-process.ts on a folder; `wrap` turns its command line into that of a program that starts it. */
export function startLogProcess(
  folder: string,
  options: { variant?: 'early'; bytes?: number; wrap?: (command: string[]) => string[] } = {},
): LineProcess {
  const plain = [process.execPath, PROGRAM, folder, String(options.bytes ?? 'none'), options.variant ?? 'plain']
  return startLineProcess(options.wrap?.(plain) ?? plain)
}
