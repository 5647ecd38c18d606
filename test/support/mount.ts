/** Small and read-only disks, which are real ones: what root can mount where that is allowed. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

const quietly = { stdio: 'ignore' } as const

const mounted = new Set<string>()

/** For `afterEach`, before the folders are removed. */
export function unmountAll(): void {
  for (const folder of mounted) unmount(folder)
}

export function unmount(folder: string): void {
  if (mounted.delete(folder)) execFileSync('umount', ['-l', folder], quietly)
}

/** A disk in memory. @param options - As `mount -o` has them: `size=300k`, `ro`. */
export function mountAt(folder: string, options: string): void {
  mkdirSync(folder, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], quietly)
  mounted.add(folder)
}

/** Whether this machine lets us. */
export function mayMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', folder], quietly)
    execFileSync('umount', [folder], quietly)
    return true
  } catch {
    return false
  } finally {
    rmdirSync(folder)
  }
}
