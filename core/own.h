/* own — the words of ownership, where a prototype needs them.
 *
 * Contracts use five words and no others: *borrows* (the default: valid
 * during the call), *keeps* (the callee stores the pointer; the contract says
 * until when), *takes* (marked TAKES: the callee frees, also on failure),
 * *gives* (returned or by out-parameter: the caller frees), *lends* (returned,
 * owned by the callee; the contract says until when). */
#ifndef SHOAL_CORE_OWN_H
#define SHOAL_CORE_OWN_H

#define TAKES

#endif
