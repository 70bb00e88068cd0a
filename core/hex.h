/* hex — digits of base 16. */
#ifndef SHOAL_CORE_HEX_H
#define SHOAL_CORE_HEX_H

/* hex_value — 0 … 15, either case; -1 for what is no digit. */
static inline int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

#endif
