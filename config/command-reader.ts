import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { SluiceError, type ErrorCode } from '../shared/errors.ts'

const LIMIT_MS = 10_000
const MAX_BYTES = 64 * 1024
const MAX_REASON = 200

const run = promisify(execFile)

/**
 * Gives what a command of the shell prints, without the space around it; those who ask while it runs share its answer.
 * Rejects with `code` when it fails, prints nothing or more than 64 KiB, or takes more than 10 s.
 */
export function commandReader(setting: string, command: string, code: ErrorCode): () => Promise<string> {
  let running: Promise<string> | undefined
  return () => {
    running ??= read(setting, command, code).finally(() => (running = undefined))
    return running
  }
}

async function read(setting: string, command: string, code: ErrorCode): Promise<string> {
  try {
    const options = { timeout: LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: MAX_BYTES } as const
    const text = (await run('/bin/sh', ['-c', command], options)).stdout.trim()
    if (text !== '') return text
  } catch (error) {
    throw new SluiceError(code, `${setting}: ${reasonOf(error)}`)
  }
  throw new SluiceError(code, `${setting}: the command printed nothing`)
}

/** What it prints to standard output is a secret, and is not told. */
function reasonOf(error: unknown): string {
  const { code, killed, stderr = '' } = error as { code?: unknown; killed?: boolean; stderr?: string } // of execFile
  if (killed === true) return `the command was ended after ${LIMIT_MS / 1000} s`
  const [line = ''] = stderr.trim().split('\n')
  return `the command ended with ${String(code)}${line === '' ? '' : `: ${line.slice(0, MAX_REASON)}`}`
}
