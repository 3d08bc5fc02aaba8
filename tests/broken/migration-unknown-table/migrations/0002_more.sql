-- Everything is a little dearer.
UPDATE itme SET price = price + 1;
