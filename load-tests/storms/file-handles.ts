import { execFileSync } from 'node:child_process'

/** Throws unless a process may have so many. The limit is that of the shell; a process cannot raise it. */
export function requireHandles(wanted: number): void {
  const text = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim()
  if (text !== 'unlimited' && Number(text) < wanted)
    throw new Error(`${wanted} file handles are needed and ${text} allowed: ulimit -n ${wanted}`)
}
